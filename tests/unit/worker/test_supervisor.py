"""Whatever the runner does, the supervisor reports it once and leaves nothing behind."""

import json
import logging
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import psutil
import pytest

from qanat import logs
from qanat.contract import labels, tasks
from qanat.contract.statuses import FailureClass
from qanat.worker import deadlock, memory
from qanat.worker.identity import ModelIdentity
from qanat.worker.run_dir import EXIT_DISK_FULL
from qanat.worker.runners import Runners, runner_environment
from qanat.worker.settings import WorkerSettings
from qanat.worker.supervisor import Supervisor
from tests.unit.worker.twin import Twin

FAKE = (sys.executable, str(Path(__file__).with_name("fake_runner.py")))
Eventually = Callable[[Callable[[], object]], None]


@pytest.fixture
def supervise(tmp_path: Path) -> Callable[[Twin], Supervisor]:
    """Make a supervisor of fake runners for a server."""

    def make(server: Twin, **changes: Any) -> Supervisor:  # noqa: ANN401 - settings
        model = ModelIdentity(
            supplier_id="S",
            model_id="M",
            version_id="1",
            directory=tmp_path,
            config_path=tmp_path / "oasislmf.json",
            config={},
            settings_path=None,
            settings=None,
        )
        settings = WorkerSettings(model_dir=tmp_path, work_dir=tmp_path / "work", kill_after_seconds=5, **changes)
        runners = Runners(environment=runner_environment(Path()), command=FAKE, fork=False)
        return Supervisor(settings=settings, model=model, server=server, runners=runners)

    return make


def left_behind(folder: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if Path(process.cwd()).is_relative_to(folder) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def test_a_step_is_committed_with_its_outputs_facts_and_log(supervise: Callable[[Twin], Supervisor]) -> None:
    server = Twin()

    supervise(server).run(step_id=1, fence=4)

    [commit] = server.committed
    assert commit["fence"] == 4
    assert commit["result"] == {"keys": 1}
    assert server.stored == {"keys_data": b"LocID\n1\n"}
    assert server.logs == b"the step's log\n"
    assert not server.failed


def test_nothing_of_an_attempt_is_left(supervise: Callable[[Twin], Supervisor], tmp_path: Path) -> None:
    supervise(Twin(parameters={"child": True})).run(step_id=1, fence=1)

    assert list((tmp_path / "work").iterdir()) == []
    assert left_behind(tmp_path) == []


def test_a_doorbell_for_a_step_that_is_not_to_be_had_is_forgotten(supervise: Callable[[Twin], Supervisor]) -> None:
    server = Twin(refuses_claims=True)

    supervise(server).run(step_id=1, fence=1)

    assert not server.committed
    assert not server.failed


@pytest.mark.parametrize(
    ("parameters", "failure_class", "says"),
    [
        ({"signal": signal.SIGKILL}, FailureClass.WORKER_LOST, "killed from outside"),
        ({"signal": signal.SIGSEGV}, FailureClass.MODEL, "SIGSEGV"),
        ({"exit": 9, "silent": True}, FailureClass.MODEL, "exit code 9"),
        ({"silent": True}, FailureClass.MODEL, "no result"),
        (
            {"exit": 3, "result": {"failure_class": "input", "message": "Row 3 has no peril.", "no_keys": False}},
            FailureClass.INPUT,
            "Row 3 has no peril.",
        ),
    ],
    ids=["killed", "crashed", "left", "silent", "refused"],
)
def test_a_failure_is_reported_by_its_class(
    supervise: Callable[[Twin], Supervisor], parameters: dict[str, object], failure_class: FailureClass, says: str
) -> None:
    server = Twin(parameters=parameters)

    supervise(server).run(step_id=1, fence=1)

    [failure] = server.failed
    assert failure["failure_class"] == failure_class
    assert says in failure["message"]
    assert not server.committed


@pytest.mark.skipif(sys.platform != "linux", reason="what processes wait for is seen on Linux only")
def test_a_step_that_can_never_go_on_is_lost_as_if_it_had_been_killed(
    supervise: Callable[[Twin], Supervisor], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(deadlock, "STUCK_SECONDS", 0)
    server = Twin(parameters={"stuck": True})

    supervise(server).run(step_id=1, fence=1)

    [failure] = server.failed
    assert failure["failure_class"] == FailureClass.WORKER_LOST
    assert "was given up" in failure["message"]
    assert "waits for another process to open" in failure["traceback"]
    assert left_behind(tmp_path) == []


def test_a_death_for_want_of_memory_is_told_from_others(
    supervise: Callable[[Twin], Supervisor], monkeypatch: pytest.MonkeyPatch
) -> None:
    kills = iter(range(10))
    monkeypatch.setattr(memory, "oom_kills", lambda: next(kills))
    server = Twin(parameters={"exit": 1, "silent": True})

    supervise(server).run(step_id=1, fence=1)

    assert server.failed[0]["failure_class"] == FailureClass.OUT_OF_MEMORY


def test_a_cancelled_step_is_stopped_with_all_it_has_started_and_nothing_is_reported(
    supervise: Callable[[Twin], Supervisor], tmp_path: Path
) -> None:
    server = Twin(parameters={"hang": True, "child": True}, verdict="cancel")

    supervise(server).run(step_id=1, fence=1)

    assert left_behind(tmp_path) == []
    assert not server.committed
    assert not server.failed
    assert not server.released


def test_a_draining_worker_hands_its_step_back(
    supervise: Callable[[Twin], Supervisor], tmp_path: Path, eventually: Eventually
) -> None:
    server = Twin(parameters={"hang": True})
    supervisor = supervise(server)
    running = threading.Thread(target=supervisor.run, kwargs={"step_id": 1, "fence": 1})
    running.start()
    eventually(lambda: list(tmp_path.glob("work/*/hanging")))

    supervisor.drain()

    running.join(timeout=15)
    assert server.released == 1
    assert not server.failed
    assert left_behind(tmp_path) == []


def test_a_worker_that_drains_takes_nothing_more(supervise: Callable[[Twin], Supervisor]) -> None:
    server = Twin()
    supervisor = supervise(server)
    supervisor.drain()

    supervisor.run(step_id=1, fence=1)

    assert not server.committed


def test_a_log_that_cannot_be_sent_does_not_cost_the_step(supervise: Callable[[Twin], Supervisor]) -> None:
    server = Twin(log_is_away=True)

    supervise(server).run(step_id=1, fence=1)

    assert len(server.committed) == 1


def test_a_step_that_was_given_to_another_is_discarded(supervise: Callable[[Twin], Supervisor], tmp_path: Path) -> None:
    server = Twin(refuses_outputs=True)

    supervise(server).run(step_id=1, fence=1)

    assert not server.committed
    assert not server.failed
    assert list((tmp_path / "work").iterdir()) == []


def test_a_work_directory_without_room_is_no_fault_of_the_model(
    supervise: Callable[[Twin], Supervisor], tmp_path: Path
) -> None:
    server = Twin()
    (tmp_path / "work").write_text("a file where the folder should be")

    supervise(server).run(step_id=1, fence=1)

    assert server.failed[0]["failure_class"] == FailureClass.INFRASTRUCTURE
    assert "work directory" in server.failed[0]["message"]


@pytest.mark.parametrize(
    ("filename", "content_type", "content", "name"),
    [
        ("Locations.csv", "text/csv", b"PortNumber\n", "location.csv"),
        ("locations", "application/octet-stream", b"PAR1....", "location.parquet"),
        ("locations.parquet", "application/octet-stream", b"PortNumber\n", "location.parquet"),
        ("locations.csv", "application/octet-stream", b"PortNumber\n", "location.csv"),
        ("locations.csv.gz", "text/csv", b"\x1f\x8b..", "location.csv.gz"),
        ("locations.zip", "application/zip", b"PK\x03\x04", "location.csv.zip"),
        ("locations.bz2", "application/x-bzip2", b"BZh9", "location.csv.bz2"),
    ],
)
def test_exposure_gets_the_suffix_of_what_it_is(
    supervise: Callable[[Twin], Supervisor],
    tmp_path: Path,
    eventually: Eventually,
    filename: str,
    content_type: str,
    content: bytes,
    name: str,
) -> None:
    server = Twin(parameters={"hang": True}, inputs={labels.LOCATION: (filename, content_type, content)})
    supervisor = supervise(server)
    running = threading.Thread(target=supervisor.run, kwargs={"step_id": 1, "fence": 1})
    running.start()
    eventually(lambda: list(tmp_path.glob("work/*/hanging")))

    fetched = [path.name for path in tmp_path.glob("work/*/in/*")]

    supervisor.drain()
    running.join(timeout=15)
    assert fetched == [name]


def test_a_doorbell_that_comes_twice_is_answered_once(supervise: Callable[[Twin], Supervisor]) -> None:
    server = Twin(parameters={"hang": True})
    supervisor = supervise(server)
    first = threading.Thread(target=supervisor.run, kwargs={"step_id": 1, "fence": 1})
    first.start()
    server.beaten.wait(30)

    supervisor.run(step_id=1, fence=1)

    assert server.claims == 1
    supervisor.drain()
    first.join()
    assert server.released == 1


def test_a_disk_that_was_full_meanwhile_is_not_held_against_the_model(
    supervise: Callable[[Twin], Supervisor], monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = iter([0])  # Then there is room again.
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=next(looks, 2**40)))
    server = Twin(parameters={"exit": 1, "silent": True})

    supervise(server).run(step_id=1, fence=1)

    assert server.failed[0]["failure_class"] == FailureClass.INFRASTRUCTURE


def test_a_runner_that_has_no_room_for_its_result_is_not_held_against_the_model(
    supervise: Callable[[Twin], Supervisor],
) -> None:
    server = Twin(parameters={"exit": EXIT_DISK_FULL, "silent": True})

    supervise(server).run(step_id=1, fence=1)

    assert server.failed[0]["failure_class"] == FailureClass.INFRASTRUCTURE


def test_all_that_is_logged_of_a_step_says_which(
    supervise: Callable[[Twin], Supervisor], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    caplog.handler.setFormatter(logs.JsonLines())
    server = Twin(verdict="lost", parameters={"hang": True})

    supervise(server).run(step_id=1, fence=4)

    lines = [json.loads(line) for line in caplog.text.splitlines() if "qanat.worker.supervisor" in line]
    assert [line["message"].partition(" after")[0] for line in lines] == [
        "The step begins",
        "The step is stopped: lost",
        "The step ended",
    ]
    about = {"run": 7, "analysis": 3, "step": 1, "sub_task": "collect-keys", "attempt": 4}
    assert all(about.items() <= line.items() for line in lines)


WRONG: Final = {"result": {"failure_class": "model", "message": "It is wrong."}, "exit": 3}
NO_KEYS: Final = {"result": {"failure_class": "input", "message": "No location is covered."}, "exit": 3}


@pytest.mark.parametrize(
    ("server", "settings", "kept"),
    [
        (Twin(parameters=WRONG), {}, True),
        (Twin(parameters={"signal": signal.SIGKILL}), {}, True),
        (Twin(parameters=WRONG), {"kept_days": 0}, False),
        (Twin(parameters=WRONG), {"kept_bytes": 0}, False),
        (Twin(parameters=NO_KEYS), {}, False),
        (Twin(), {}, False),
        (Twin(), {"keep_local_data": True}, True),
        (Twin(), {"keep_run_dir": True}, False),
        (Twin(task=tasks.RUN_ANALYSIS), {"keep_run_dir": True}, True),
        (Twin(parameters={"hang": True}, verdict="cancel"), {}, False),
    ],
)
def test_the_directory_of_a_step_is_kept_where_that_helps(
    supervise: Callable[..., Supervisor], tmp_path: Path, server: Twin, settings: dict[str, Any], *, kept: bool
) -> None:
    supervise(server, **settings).run(step_id=1, fence=1)

    found = [path for path in (tmp_path / "work").glob("kept/*") if (path / "log.txt").is_file()]
    assert len(found) == kept
    assert list((tmp_path / "work").glob("run-*")) == []
