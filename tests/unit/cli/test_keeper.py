"""What is kept alive comes back with growing pauses, until it is told to stop."""

import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import pytest

from qanat.cli.errors import CommandFailed
from qanat.cli.up import keeper as module
from qanat.cli.up.keeper import FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, STEADY_AFTER_SECONDS, Keeper, next_pause
from qanat.cli.up.layout import Layout
from qanat.cli.up.platform import Platform

LIMIT_SECONDS = 15.0


class Keep(Protocol):
    """Makes a keeper that is stopped after the test."""

    def __call__(self, script: str, *, lifeline: int | None = None) -> Keeper:
        """Return a keeper of a shell script, not yet started."""


class Counter:
    """Counts starts and can be waited for."""

    def __init__(self, wanted: int) -> None:
        self.wanted = wanted
        self.seen = 0
        self.reached = threading.Event()

    def __call__(self) -> None:
        self.seen += 1
        if self.seen >= self.wanted:
            self.reached.set()


@pytest.fixture
def keep(tmp_path: Path) -> Iterator[Keep]:
    """Make keepers."""
    made: list[Keeper] = []

    def make(script: str, *, lifeline: int | None = None) -> Keeper:
        command: Sequence[str] = ["/bin/sh", "-c", script]
        kept = Keeper(name="it", command=command, environment=os.environ, log=tmp_path / "it.log", lifeline=lifeline)
        made.append(kept)
        return kept

    yield make
    for kept in made:
        kept.stop(grace_seconds=0.1)


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Return a pipe through which a process says that it is there; its end is the process' end."""
    reader, writer = os.pipe()
    yield reader, writer
    os.close(reader)
    os.close(writer)


def test_pauses_double_up_to_a_limit() -> None:
    pauses = [FIRST_PAUSE_SECONDS]
    for _ in range(10):
        pauses.append(next_pause(pauses[-1], lived=0.1))

    assert pauses[1:4] == [2 * FIRST_PAUSE_SECONDS, 4 * FIRST_PAUSE_SECONDS, 8 * FIRST_PAUSE_SECONDS]
    assert pauses[-1] == LONGEST_PAUSE_SECONDS


def test_a_long_life_is_forgiven_everything() -> None:
    assert next_pause(LONGEST_PAUSE_SECONDS, lived=STEADY_AFTER_SECONDS + 1) == FIRST_PAUSE_SECONDS


def test_what_dies_is_started_again_after_growing_pauses(
    keep: Keep, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "FIRST_PAUSE_SECONDS", 0.001)
    starts = Counter(4)
    kept = keep("echo here; exit 3")
    kept.before = starts

    with caplog.at_level(logging.WARNING):
        kept.start()
        assert starts.reached.wait(LIMIT_SECONDS)
        kept.stop(grace_seconds=1)

    pauses = [record.args[2] for record in caplog.records if isinstance(record.args, tuple)]
    assert pauses[:3] == pytest.approx([0.002, 0.004, 0.008])
    assert "it ended (3) and is started again" in caplog.text
    assert str(kept.log) in caplog.text
    assert kept.log.read_text().startswith("here\nhere\nhere\n")


def test_a_stop_ends_the_process_and_nothing_starts_again(keep: Keep, pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    kept = keep(
        f"sleep 1000 & trap 'echo drained; kill $!; exit 0' TERM; echo up > /dev/fd/{writer}; wait", lifeline=writer
    )
    kept.start()
    assert os.read(reader, 10) == b"up\n"

    kept.stop(grace_seconds=LIMIT_SECONDS)

    assert kept.pid is None
    assert kept.starts == 1
    assert "drained" in kept.log.read_text()


def test_who_ignores_the_stop_is_killed_after_the_grace(
    keep: Keep, pipe: tuple[int, int], caplog: pytest.LogCaptureFixture
) -> None:
    reader, writer = pipe
    kept = keep(f"trap '' TERM; echo up > /dev/fd/{writer}; exec sleep 1000", lifeline=writer)
    kept.start()
    assert os.read(reader, 10) == b"up\n"

    kept.stop(grace_seconds=0.1)

    assert kept.pid is None
    assert "is killed" in caplog.text


def test_a_stop_during_a_pause_does_not_wait_for_its_end(keep: Keep, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_PAUSE_SECONDS", 1000.0)
    monkeypatch.setattr(module, "LONGEST_PAUSE_SECONDS", 1000.0)
    kept = keep("exit 1")
    pausing = threading.Event()

    class Seen(logging.Handler):
        """Notes that the keeper has said something: that it pauses."""

        def emit(self, record: logging.LogRecord) -> None:
            pausing.set()

    monkeypatch.setattr(module.logger, "handlers", [Seen()])
    kept.start()
    assert pausing.wait(LIMIT_SECONDS)

    kept.stop(grace_seconds=1)

    assert kept.starts == 1


def test_the_process_leads_a_session_of_its_own(keep: Keep, pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    kept = keep(f"echo $$ > /dev/fd/{writer}; exec sleep 1000", lifeline=writer)
    kept.start()

    pid = int(os.read(reader, 20))

    assert os.getsid(pid) == pid


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with its parent")
def test_a_foreign_process_ends_with_its_supervisor(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    script = (
        "import os, threading; from pathlib import Path; from qanat.cli.up.keeper import Keeper\n"
        f"command = ['/bin/sh', '-c', 'echo $$ > /dev/fd/{writer}; exec sleep 1000']\n"
        f"log = Path({str(tmp_path / 'it.log')!r})\n"
        f"Keeper(name='it', command=command, environment={{}}, log=log, lifeline={writer}, foreign=True).start()\n"
        "threading.Event().wait()\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], pass_fds=(writer,)) as supervisor:
        os.close(writer)
        pid = int(os.read(reader, 20))

        supervisor.send_signal(signal.SIGKILL)

        assert os.read(reader, 1) == b"", f"process {pid} lives on"
    os.close(reader)


def test_the_platform_gives_up_on_who_never_stays_alive_and_shows_the_end_of_its_log(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    log.write_text("\n".join(f"line {number}" for number in range(20)))
    dying = Keeper(name="server", command=["false"], environment={}, log=log, starts=4)
    platform = Platform(layout=Layout(tmp_path), models=[], _keepers=[dying])

    with pytest.raises(CommandFailed, match="The server does not stay alive") as failure:
        platform._require_alive()

    assert "line 19" in str(failure.value)
    assert "line 1\n" not in str(failure.value)


def test_the_platform_is_patient_with_who_has_died_once(tmp_path: Path) -> None:
    dying = Keeper(name="server", command=["false"], environment={}, log=tmp_path / "none.log", starts=2)

    Platform(layout=Layout(tmp_path), models=[], _keepers=[dying])._require_alive()

    assert dying.pid is None
