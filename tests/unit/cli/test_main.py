"""The command line explains itself, its reference page is true, and failures are sentences."""

import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from qanat.cli import main as module
from qanat.cli.errors import CommandFailed
from qanat.server import roles
from qanat.worker import __main__ as worker
from qanat.worker import warm

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "reference" / "cli.md").read_text()
HOW_TO = (ROOT / "docs" / "how-to" / "run-on-a-laptop.md").read_text()
COMMANDS: dict[str, Any] = typer.main.get_command(module.app).commands  # type: ignore[attr-defined]
PASSED_ON = {"worker", "server"}
"""Commands that hand all their options to the programme that they become."""
OPTION = re.compile(r"(?<![\w-])--?[a-z][a-z0-9-]*")


def section(command: str) -> str:
    """Return what the reference page says of a command."""
    match = re.search(rf"^## `qanat {command}`$(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert match, f"docs/reference/cli.md has no section on qanat {command}"
    return match[1]


def documented(text: str) -> set[str]:
    """Return the options in the first cells of the text's tables."""
    cells = re.findall(r"^\| (`-[^|]*) \|", text, re.MULTILINE)
    return {option for cell in cells for option in OPTION.findall(cell)}


def examples(text: str) -> list[list[str]]:
    """Return the words of the commands in the text's consoles."""
    lines = re.findall(r"^\$ (?:\w+=\S+ )*(qanat .*)$", text, re.MULTILINE)
    return [shlex.split(line.split(" > ")[0])[1:] for line in lines]


EXAMPLES = {" ".join(words): words for words in [*examples(PAGE), *examples(HOW_TO)]}


def options_of(command: Any) -> set[str]:  # noqa: ANN401 - typer's own kind
    """Return the options of a command, with --help."""
    named = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    return {option for option in named if option.startswith("-")} | {"--help"}


def test_the_page_has_a_section_for_each_command_and_no_other() -> None:
    sections = set(re.findall(r"^## `qanat ([\w-]+)`$", PAGE, re.MULTILINE))

    assert sections == set(COMMANDS)


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - PASSED_ON))
def test_the_page_names_each_option_of_a_command_and_no_other(name: str) -> None:
    assert documented(section(name)) == options_of(COMMANDS[name])


def _worker_help() -> None:
    worker.main()


def _warm_help() -> None:
    warm.main()


def _server_help() -> None:
    roles.main(["--help"])


@pytest.mark.parametrize(
    ("name", "show"), [("worker", _worker_help), ("worker warm", _warm_help), ("server", _server_help)]
)
def test_the_page_names_each_option_of_what_a_command_becomes(
    name: str, show: Callable[[], None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["it", "--help"])
    with pytest.raises(SystemExit):
        show()
    listed = re.findall(r"^  (-.*?)(?:  |$)", capsys.readouterr().out, re.MULTILINE)

    assert documented(section(name)) | {"-h", "--help"} == {
        option for line in listed for option in OPTION.findall(line)
    }


def test_the_page_names_each_role_of_the_server() -> None:
    said = set(re.findall(r"`([a-z-]+)`", section("server").split("The roles are")[1].split("\n\n")[0]))

    assert said == set(roles.ROLES)


def test_the_page_names_the_options_of_the_whole() -> None:
    whole = typer.main.get_command(module.app)

    assert documented(PAGE.split("\n## ")[0]) == options_of(whole)


@pytest.mark.parametrize("words", EXAMPLES.values(), ids=EXAMPLES)
def test_the_examples_are_understood(words: list[str]) -> None:
    name, *arguments = words

    context = COMMANDS[name].make_context(name, list(arguments))

    assert context.args == (arguments if name in PASSED_ON else [])


def test_each_command_has_an_example() -> None:
    assert {words[0] for words in examples(PAGE)} == set(COMMANDS)


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - PASSED_ON))
def test_each_command_explains_itself(name: str) -> None:
    result = CliRunner().invoke(module.app, [name, "--help"], env={"COLUMNS": "200"})

    assert result.exception is None, result.exception
    assert result.exit_code == 0
    for option in options_of(COMMANDS[name]):
        assert option in result.output
    for parameter in COMMANDS[name].params:
        assert parameter.help, f"{name} does not say what {parameter.name} is"


def test_without_a_command_all_are_listed() -> None:
    result = CliRunner().invoke(module.app, [])

    for name in COMMANDS:
        assert f" {name} " in result.output


@pytest.mark.parametrize("name", sorted(PASSED_ON))
def test_what_is_passed_on_is_passed_on_as_a_whole(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    became: list[tuple[str, list[str]]] = []
    monkeypatch.setattr(module, "_become", lambda programme, arguments: became.append((programme, arguments)))

    CliRunner().invoke(module.app, [name, "--help", "--port", "1", "word"])

    assert became == [(f"qanat.{name}", ["--help", "--port", "1", "word"])]


@pytest.mark.parametrize(
    "arguments", [["run", "-x", "location.csv"], ["up", "--port", "many"], ["demo", "--locations", "0"], ["fly"]]
)
def test_what_is_not_understood_ends_with_2(arguments: list[str]) -> None:
    result = CliRunner().invoke(module.app, arguments)

    assert result.exit_code == 2


def test_an_expected_failure_is_a_sentence_and_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "argv", ["qanat", "run", "--model", "1", "--data-dir", str(tmp_path)])

    with pytest.raises(SystemExit) as end:
        module.main()

    said = capsys.readouterr()
    assert end.value.code == 1
    assert said.err.startswith("Error: No platform runs from")
    assert "Traceback" not in said.err
    assert said.out == ""


@pytest.mark.parametrize("sentence", ["install qanat[embedded]", "no file a[/b].csv"])
def test_the_sentence_of_a_failure_keeps_its_brackets(
    sentence: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise CommandFailed(sentence)

    monkeypatch.setattr(module, "app", fail)

    with pytest.raises(SystemExit):
        module.main()

    assert capsys.readouterr().err == f"Error: {sentence}\n"


def test_the_wish_of_the_command_line_is_the_one_that_is_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from qanat.cli import run as command  # noqa: PLC0415 - as main does

    wishes: list[command.Wish] = []
    credentials: list[dict[str, object]] = []

    class Connected:
        """Stands for a client."""

        def __enter__(self) -> None:
            """Connect."""

        def __exit__(self, *_: object) -> None:
            """Disconnect."""

    def connect(**given: object) -> Connected:
        credentials.append(given)
        return Connected()

    monkeypatch.setattr(command, "connect", connect)
    monkeypatch.setattr(command, "run", lambda wish, **_: wishes.append(wish))
    words = "run --model A/B -x l.csv -y a.csv -i i.csv -s s.csv -a set.json -o out --chunks 3 --v1 --server http://s"

    result = CliRunner().invoke(module.app, words.split(), env={"QANAT_USER": "ann", "QANAT_PASSWORD": "word"})

    assert result.exit_code == 0, result.output
    assert wishes == [
        command.Wish(
            model="A/B",
            files={
                "location_file": Path("l.csv"),
                "accounts_file": Path("a.csv"),
                "reinsurance_info_file": Path("i.csv"),
                "reinsurance_scope_file": Path("s.csv"),
            },
            settings=Path("set.json"),
            output=Path("out"),
            lookup_chunks=None,
            loss_chunks=3,
            v1=True,
        )
    ]
    assert credentials == [{"server": "http://s", "user": "ann", "password": "word", "data_dir": None}]
