"""``qanat run`` asks for what was wished, and says in a sentence why it did not come about."""

import io
import json
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from rich.console import Console

from qanat.cli import run as module
from qanat.cli.client import Client
from qanat.cli.errors import CommandFailed
from qanat.cli.run import Reasons, Wish, connect, execute, find_model, run
from qanat.cli.show import show_losses, summary_as_json
from qanat.cli.up.layout import Layout, write_private
from qanat.demo.results import LossSummary, Perspective
from tests.unit.cli.platform_in_memory import PlatformInMemory, archive

NO_FILES = dict.fromkeys(("location_file", "accounts_file", "reinsurance_info_file", "reinsurance_scope_file"))


@pytest.fixture
def client_of(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[PlatformInMemory], Client]]:
    """Make clients of servers in memory."""
    real = httpx.Client
    made: list[Client] = []

    def make(server: PlatformInMemory) -> Client:
        monkeypatch.setattr(httpx, "Client", lambda **given: real(**given, transport=httpx.MockTransport(server)))
        made.append(Client("http://losses.example"))
        return made[-1]

    monkeypatch.setattr(module, "LONGEST_PAUSE_SECONDS", 0.0)
    yield make
    for client in made:
        client.__exit__()


@pytest.fixture
def wish(tmp_path: Path) -> Callable[..., Wish]:
    """Make wishes: locations and settings, on Acme's wind model."""
    (tmp_path / "location.csv").write_text("LocNumber\n1\n")
    (tmp_path / "settings.json").write_text('{"gul_output": true}')

    def make(**given: Any) -> Wish:  # noqa: ANN401 - of many types
        usual = {
            "model": "Acme/Wind/1",
            "files": {**NO_FILES, "location_file": tmp_path / "location.csv"},
            "settings": tmp_path / "settings.json",
            "output": tmp_path / "results",
        }
        return Wish(**{**usual, **given})

    return make


Clients = Callable[[PlatformInMemory], Client]
Wishes = Callable[..., Wish]


def test_a_run_uploads_runs_and_fetches(client_of: Clients, wish: Wishes, tmp_path: Path) -> None:
    server = PlatformInMemory()

    outcome = execute(client_of(server), wish(), quiet=True)

    assert server.calls == [
        "portfolios/",
        "portfolios/4/location_file/",
        "analyses/",
        "analyses/5/settings/",
        "analyses/5/generate_inputs/",
        "analyses/5/run/",
    ]
    assert json.loads(server.bodies["analyses/5/settings/"]) == {"gul_output": True}
    assert outcome.losses is not None
    assert outcome.losses.perspectives["gul"].average_annual_loss == 100.5
    assert (tmp_path / "results" / "output" / "gul_S1_palt.csv").is_file()


def test_without_settings_only_inputs_are_made(client_of: Clients, wish: Wishes) -> None:
    server = PlatformInMemory(files={"input_file": b"inputs"})

    outcome = execute(client_of(server), wish(settings=None), quiet=True)

    assert server.calls[-1] == "analyses/5/generate_inputs/"
    assert outcome.losses is None
    assert list(outcome.files) == ["input_file"]


def test_chunks_are_asked_for_before_the_run(client_of: Clients, wish: Wishes) -> None:
    server = PlatformInMemory()

    execute(client_of(server), wish(loss_chunks=4), quiet=True)

    body = json.loads(server.bodies["analyses/5/chunking_configuration/"])
    assert body == {"fixed_lookup_chunks": 1, "fixed_analysis_chunks": 4}
    assert server.calls.index("analyses/5/chunking_configuration/") < server.calls.index("analyses/5/generate_inputs/")


def test_one_worker_is_asked_for_in_both_phases(client_of: Clients, wish: Wishes) -> None:
    server = PlatformInMemory()

    execute(client_of(server), wish(v1=True), quiet=True)

    assert server.calls[-2:] == [
        "analyses/5/generate_inputs/?run_mode_override=V1",
        "analyses/5/run/?run_mode_override=V1",
    ]


@pytest.mark.parametrize(
    ("server", "status", "file"),
    [
        (PlatformInMemory(inputs=["INPUTS_GENERATION_ERROR"]), "INPUTS_GENERATION_ERROR", "input_generation"),
        (PlatformInMemory(inputs=["INPUTS_GENERATION_NO_KEYS"]), "INPUTS_GENERATION_NO_KEYS", "input_generation"),
        (PlatformInMemory(losses=["RUN_STARTED", "RUN_ERROR"]), "RUN_ERROR", "run"),
    ],
)
def test_a_failed_run_says_where_its_traceback_is(
    client_of: Clients,
    wish: Wishes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    server: PlatformInMemory,
    status: str,
    file: str,
) -> None:
    server.files = {f"{file}_traceback_file": b"KeyError: 'peril'\nline 2"}
    monkeypatch.chdir(tmp_path)

    with pytest.raises(CommandFailed) as failure:
        execute(client_of(server), wish(), quiet=True)

    saved = tmp_path / "analysis_5_traceback.txt"
    assert str(failure.value).startswith(f"Analysis 5 ended as {status}: KeyError: 'peril'")
    assert str(failure.value).endswith(f"The whole of it: {saved}")
    assert saved.read_text().endswith("line 2")


def test_a_run_that_somebody_else_cancelled_ends(client_of: Clients, wish: Wishes) -> None:
    with pytest.raises(CommandFailed, match=r"^Analysis 5 ended as RUN_CANCELLED\.$"):
        execute(client_of(PlatformInMemory(losses=["RUN_CANCELLED"])), wish(), quiet=True)


def test_an_interrupt_cancels_the_analysis(client_of: Clients, wish: Wishes) -> None:
    server = PlatformInMemory(interrupt=True)

    with pytest.raises(CommandFailed, match="Analysis 5 was cancelled"):
        execute(client_of(server), wish(), quiet=True)

    assert server.calls[-1] == "analyses/5/cancel/"


def test_an_output_without_losses_is_still_fetched(client_of: Clients, wish: Wishes) -> None:
    server = PlatformInMemory(files={"output_file": archive({"readme.txt": "nothing"})})

    outcome = execute(client_of(server), wish(), quiet=True)

    assert outcome.losses is None
    assert "output_file" in outcome.files


def test_an_archive_that_points_outside_is_not_unpacked(client_of: Clients, wish: Wishes, tmp_path: Path) -> None:
    server = PlatformInMemory(files={"output_file": archive({"../../outside.csv": "x"})})

    with pytest.raises(tarfile.OutsideDestinationError):
        execute(client_of(server), wish(), quiet=True)

    assert not (tmp_path / "outside.csv").exists()


# What is checked before anything is sent


@pytest.mark.parametrize("given", ["files", "settings"])
def test_a_missing_file_is_named_before_anything_is_sent(
    client_of: Clients, wish: Wishes, tmp_path: Path, given: str
) -> None:
    server = PlatformInMemory()
    absent = tmp_path / "absent.csv"
    wanted = {"files": {**NO_FILES, "accounts_file": absent}, "settings": absent}[given]

    with pytest.raises(CommandFailed, match=rf"^There is no file {absent}\.$"):
        execute(client_of(server), wish(**{given: wanted}), quiet=True)

    assert server.calls == []


def test_a_folder_is_no_file(client_of: Clients, wish: Wishes, tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match="There is no file"):
        execute(client_of(PlatformInMemory()), wish(settings=tmp_path), quiet=True)


def test_nothing_to_run_on_is_refused(client_of: Clients, wish: Wishes) -> None:
    with pytest.raises(CommandFailed, match=r"locations \(-x\) or the accounts \(-y\)"):
        execute(client_of(PlatformInMemory()), wish(files=NO_FILES), quiet=True)


def test_settings_that_are_no_json_are_refused_with_the_place(client_of: Clients, wish: Wishes, tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_text("{'gul': true}")

    with pytest.raises(CommandFailed, match=r"settings\.json is not JSON: .* line 1 column 2"):
        execute(client_of(PlatformInMemory()), wish(), quiet=True)


@pytest.mark.parametrize(("wanted", "found"), [("1", 1), ("Acme/Wind", 1), ("Acme/Wind/1", 1), ("Acme/Flood/2", 3)])
def test_a_model_is_found_by_its_number_or_its_names(client_of: Clients, wanted: str, found: int) -> None:
    assert find_model(client_of(PlatformInMemory()), wanted)["id"] == found


@pytest.mark.parametrize(
    ("wanted", "problem"),
    [
        ("Acme/Hail", "is not known here"),
        ("9", "is not known here"),
        ("Acme", "is not known here"),
        ("Acme/Flood", "is more than one model; add its version"),
    ],
)
def test_a_model_that_cannot_be_meant_is_answered_with_those_that_can(
    client_of: Clients, wanted: str, problem: str
) -> None:
    with pytest.raises(CommandFailed) as failure:
        find_model(client_of(PlatformInMemory()), wanted)

    assert str(failure.value) == (
        f"The model '{wanted}' {problem}. Models of this server: 1: Acme/Wind/1, 2: Acme/Flood/1, 3: Acme/Flood/2."
    )


def test_a_server_without_models_says_none(client_of: Clients) -> None:
    with pytest.raises(CommandFailed, match=r"Models of this server: none\."):
        find_model(client_of(PlatformInMemory(models=[])), "Acme/Wind")


# Connecting


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """Return a data directory in which a platform runs."""
    layout = Layout(tmp_path)
    write_private(layout.running, {"url": "http://127.0.0.1:8000"})
    write_private(layout.admin, {"username": "admin", "password": "generated"})
    return layout


def test_this_machines_platform_is_found_with_its_own_credentials(client_of: Clients, layout: Layout) -> None:
    server = PlatformInMemory()
    client_of(server)

    with connect(server=None, user=None, password=None, data_dir=layout.root) as client:
        assert client.url == "http://127.0.0.1:8000"

    assert json.loads(server.bodies["/access_token/"]) == {"username": "admin", "password": "generated"}


def test_a_server_that_is_given_wants_credentials(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match=r"Give --user and --password \(or QANAT_USER and QANAT_PASSWORD\)"):
        connect(server="http://losses.example", user=None, password=None, data_dir=tmp_path)


def test_this_machines_password_is_never_sent_to_another_server(client_of: Clients, layout: Layout) -> None:
    server = PlatformInMemory()
    client_of(server)

    with pytest.raises(CommandFailed, match="Give --user and --password"):
        connect(server="http://losses.example", user="ann", password=None, data_dir=layout.root)

    assert server.calls == []


def test_without_a_platform_it_says_how_to_start_one(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match=r"No platform runs from .*: start one with `qanat up`, or give --server"):
        connect(server=None, user=None, password=None, data_dir=tmp_path)


# What is printed


def test_json_for_scripts_is_one_document(
    client_of: Clients, wish: Wishes, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    run(wish(), client=client_of(PlatformInMemory()), as_json=True)

    printed = json.loads(capsys.readouterr().out)
    assert printed["analysis"] == 5
    assert printed["losses"]["gul"]["oep"] == {"100.0": 1500.0}
    assert printed["files"]["tables"] == str(tmp_path / "results" / "output")


def test_people_read_losses_and_where_the_files_are(
    client_of: Clients, wish: Wishes, monkeypatch: pytest.MonkeyPatch
) -> None:
    paper = io.StringIO()
    monkeypatch.setattr(module, "console", Console(file=paper, width=200))

    run(wish(), client=client_of(PlatformInMemory()), as_json=False)

    assert "Average annual loss" in paper.getvalue()
    assert "output.tar.gz" in paper.getvalue()


def _summary(**loss: float) -> LossSummary:
    gross = Perspective(name="Ground-up", short="Ground-up", average_annual_loss=None, oep={100.0: loss["oep"]}, aep={})
    return LossSummary(perspectives={"gul": gross})


@pytest.mark.parametrize(("oep", "aep", "printed"), [(1500.0, 0.0, "1,500"), (12.5e6, 25e6, "12.50")])
def test_large_losses_are_printed_in_millions(oep: float, aep: float, printed: str) -> None:
    paper = io.StringIO()
    summary = _summary(oep=oep)
    if aep:
        summary.perspectives["gul"].aep[100.0] = aep

    show_losses(Console(file=paper, width=100), summary)

    assert printed in paper.getvalue()
    assert ("millions" in paper.getvalue()) is bool(aep)


def test_no_curve_no_table() -> None:
    paper = io.StringIO()

    show_losses(Console(file=paper, width=100), LossSummary(perspectives={}))

    assert "Exceedance" not in paper.getvalue()
    assert summary_as_json(LossSummary(perspectives={})) == {}


def looks(*reasons: str | None) -> list[str]:
    """Return what is told of looks at an analysis, a second apart."""
    told = Reasons()
    waiting = [None if reason is None else {"reason": "R", "message": reason} for reason in reasons]
    return [told.news({"waiting_for": found}, seconds=float(second)) for second, found in enumerate(waiting)]


def test_why_it_waits_is_told_once() -> None:
    assert looks("a", "a", "a", "a", "a") == ["", "", "a", "", ""]


def test_another_reason_is_told_when_it_lasts() -> None:
    assert looks("a", "a", "a", "b", "a", "b", "b", "b") == ["", "", "a", "", "", "", "", "b"]


def test_what_comes_back_after_work_is_told_again() -> None:
    assert looks("a", "a", "a", None, None, None, "a", "a", "a") == ["", "", "a", "", "", "", "", "", "a"]


def test_what_is_over_in_a_moment_is_not_told() -> None:
    assert looks("a", "a", None, "b", None) == [""] * 5


def test_a_server_that_does_not_say_why_is_as_good() -> None:
    assert Reasons().news({"status": "RUN_QUEUED"}, seconds=0.0) == ""


def test_a_reason_is_printed_above_the_bars(client_of: Clients, wish: Wishes, monkeypatch: pytest.MonkeyPatch) -> None:
    paper = io.StringIO()
    monkeypatch.setattr(module, "console", Console(file=paper, width=80))
    monkeypatch.setattr(module, "LASTING_SECONDS", 0.0)
    server = PlatformInMemory(waiting_for="No worker serves Acme-Wind-1[v2].")

    execute(client_of(server), wish())

    assert paper.getvalue().count("Waiting: No worker serves Acme-Wind-1[v2].") == 2  # once for inputs, once for losses
