"""The order in which names are resolved: each rule by itself."""

from itertools import pairwise
from pathlib import Path

import pytest

from qanat.configuration.names import Bare, Key, Names, Place
from qanat.configuration.sources import BadSettings, Found, Sources

HOST = Names(own=("QANAT_DB_HOST",), key=Key("server", "DB_HOST"), bare=("DB_HOST",))
DATA = Names(own=(), key=Key("worker.model_data", "AWS_LOCATION"))
IN_ORDER = [
    "QANAT_DB_HOST",
    "OASIS_SERVER_DB_HOST",
    "OASIS_DB_HOST",
    "DB_HOST",
    "[server] DB_HOST",
    "[default] DB_HOST",
]


def sources(folder: Path, *given: str) -> Sources:
    """Return sources in which each of these variables and places has its own name as its value."""
    places = [one for one in given if one.startswith("[")]
    lines = [f"{section}]\n{name} = {section}] {name}\n" for section, name in (one.split("] ") for one in places)]
    path = folder / "conf.ini"
    path.write_text("".join(lines))
    return Sources.read({"OASIS_INI_PATH": str(path)} | {one: one for one in given if one not in places})


@pytest.mark.parametrize(("first", "second"), list(pairwise(IN_ORDER)))
def test_each_name_beats_the_one_after_it(tmp_path: Path, first: str, second: str) -> None:
    found = sources(tmp_path, second, first).find(HOST)

    assert found is not None
    assert found.value == first
    assert found.origin.startswith(first)


@pytest.mark.parametrize("only", IN_ORDER)
def test_each_name_counts_where_it_is_alone(tmp_path: Path, only: str) -> None:
    found = sources(tmp_path, only).find(HOST)

    assert found is not None
    assert found.value == only


def test_nothing_is_found_where_nothing_is_given(tmp_path: Path) -> None:
    assert sources(tmp_path, "OASIS_WORKER_DB_HOST", "[worker] DB_HOST").find(HOST) is None
    assert Sources.read({}).find(HOST) is None


@pytest.mark.parametrize(
    ("given", "value"),
    [
        (("OASIS_AWS_LOCATION",), None),
        (("OASIS_AWS_LOCATION", "[default] AWS_LOCATION"), "[default] AWS_LOCATION"),
        (("[default] AWS_LOCATION", "[worker.model_data] AWS_LOCATION"), "[worker.model_data] AWS_LOCATION"),
        (
            ("[worker.model_data] AWS_LOCATION", "OASIS_WORKER_MODEL_DATA_AWS_LOCATION"),
            "OASIS_WORKER_MODEL_DATA_AWS_LOCATION",
        ),
    ],
)
def test_dots_are_underscores_and_model_data_has_no_global_form(
    tmp_path: Path, given: tuple[str, ...], value: str | None
) -> None:
    found = sources(tmp_path, *given).find(DATA)

    assert (found and found.value) == value


@pytest.mark.parametrize("name", ["oasis_server_db_host", "Oasis_Server_Db_Host"])
def test_capitals_do_not_matter_in_the_environment(name: str) -> None:
    found = Sources.read({name: "h"}).find(HOST)

    assert found == Found(value="h", origin="OASIS_SERVER_DB_HOST")


def test_of_two_that_differ_in_capitals_the_one_in_capitals_counts() -> None:
    for given in ({"OASIS_DB_HOST": "a", "oasis_db_host": "b"}, {"oasis_db_host": "b", "OASIS_DB_HOST": "a"}):
        found = Sources.read(given).find(HOST)

        assert found is not None
        assert found.value == "a"


def test_capitals_do_not_matter_in_the_ini_file(tmp_path: Path) -> None:
    found = sources(tmp_path, "[SERVER] db_Host").find(HOST)

    assert found == Found(value="[SERVER] db_Host", origin=f"[server] DB_HOST in {tmp_path / 'conf.ini'}")


def test_a_key_that_the_ini_file_may_not_have_is_not_read_there(tmp_path: Path) -> None:
    names = Names(own=(), key=Key("worker", "MODEL_ID", in_ini=False))

    assert sources(tmp_path, "[worker] MODEL_ID").find(names) is None
    assert sources(tmp_path, "OASIS_MODEL_ID").find(names) == Found(value="OASIS_MODEL_ID", origin="OASIS_MODEL_ID")


def test_values_of_the_ini_file_are_taken_as_they_stand(tmp_path: Path) -> None:
    path = tmp_path / "conf.ini"
    path.write_text("; a comment\n[server]\ndb_pass = 100%(sure)s # yes\nmedia_root: /files\ndebug\n")

    ini = Sources.read({"OASIS_INI_PATH": str(path)}).ini

    assert ini == {
        Place("server", "DB_PASS"): "100%(sure)s # yes",
        Place("server", "MEDIA_ROOT"): "/files",
        Place("server", "DEBUG"): "",
    }


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, "cannot be read"),
        ("debug = true\n", "is no INI file: File contains no section headers"),
        ("[server]\ndebug = true\ndebug = false\n", r"is no INI file: .* option 'debug' .* already exists"),
    ],
)
def test_an_ini_file_that_cannot_be_read_is_no_silent_matter(tmp_path: Path, text: str | None, sentence: str) -> None:
    path = tmp_path / "conf.ini"
    if text is not None:
        path.write_text(text)

    with pytest.raises(BadSettings, match=sentence):
        Sources.read({"OASIS_INI_PATH": str(path)})


def test_what_kubernetes_sets_for_services_is_not_ours() -> None:
    of_kubernetes = {
        "OASIS_SERVER_SERVICE_HOST": "10.0.0.1",
        "OASIS_SERVER_SERVICE_PORT": "8000",
        "OASIS_SERVER_SERVICE_PORT_HTTP": "8000",
        "OASIS_WEBSOCKET_PORT": "tcp://10.0.0.1:8001",
        "OASIS_SERVER_PORT_8000_TCP_ADDR": "10.0.0.1",
    }

    given = Sources.read({**of_kubernetes, "OASIS_SERVER_DB_PORT": "5432"})

    assert given.variables == ["OASIS_SERVER_DB_PORT"]


def test_a_bare_name_comes_without_prefix() -> None:
    bare = Bare(("INGRESS_EXTERNAL_HOST",))

    found = Sources.read({"INGRESS_EXTERNAL_HOST": "ui"}).find(Names(own=(), bare=bare.variables))

    assert found == Found(value="ui", origin="INGRESS_EXTERNAL_HOST")
