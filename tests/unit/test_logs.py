"""Each line of a log says what it is about, for people and for programmes, and nothing that nobody has listed."""

import json
import logging
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from qanat import logs

HUSH = "hush-hush"


def said(code: str, *, form: logs.Format, level: logs.Level = "info") -> str:
    """Return what a process that logs as ours do says of some code."""
    script = f"""
import logging, logging.config, threading, warnings
from qanat import logs
logging.config.dictConfig(logs.configuration(form={form!r}, level={level!r}))
logs.catch_the_rest()
logs.process_is("monitor")
log = logging.getLogger("qanat.test")
{code}
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert not done.stdout
    return done.stderr


def objects(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_line_for_programmes_is_an_object_with_all_that_it_is_about() -> None:
    code = """
with logs.about(step=7, attempt=2, analysis=None):
    logs.add(run=3)
    log.info("It runs: %s", "é")
log.info("Idle")
"""

    runs, idle = objects(said(code, form="json"))

    assert runs.pop("time").endswith("Z")
    assert runs.pop("pid") == idle["pid"]
    assert runs == {
        "level": "INFO",
        "logger": "qanat.test",
        "message": "It runs: é",
        "process": "monitor",
        "step": 7,
        "attempt": 2,
        "run": 3,
    }
    assert "step" not in idle


def test_a_line_for_people_says_the_same() -> None:
    text = said("with logs.about(step=7, attempt=2): log.warning('It waits')", form="text")

    assert text.endswith(" WARNING monitor qanat.test step=7 attempt=2: It waits\n")


@pytest.mark.parametrize("form", ["text", "json"])
def test_nobody_makes_up_lines(form: logs.Format) -> None:
    text = said(r"log.info('%s is unknown', 'a\n2026 CRITICAL qanat: b')", form=form)

    assert len(text.splitlines()) == 1


def test_an_exception_comes_with_its_traceback_in_the_same_object() -> None:
    code = """
try:
    1 / 0
except ZeroDivisionError:
    log.exception("It failed")
threading.Thread(target=lambda: [][0]).start()
warnings.warn("old")
raise SystemError("end")
"""

    failed, thread, warning, end = objects(said(code, form="json"))

    assert (failed["message"], failed["level"]) == ("It failed", "ERROR")
    assert failed["traceback"].startswith("Traceback")
    assert failed["traceback"].endswith("ZeroDivisionError: division by zero")
    assert thread["traceback"].endswith("IndexError: list index out of range")
    assert warning["logger"] == "py.warnings"
    assert end["traceback"].endswith("SystemError: end")


@pytest.mark.parametrize("form", ["text", "json"])
def test_what_libraries_add_to_their_records_is_not_said(form: logs.Format) -> None:
    code = f"""
log.warning("Asked", extra={{"request": "Authorization: {HUSH}", "data": {{"args": "{HUSH}"}}}})
logging.getLogger("httpx").info("GET /?token={HUSH}")
logging.getLogger("azure.core").info("{HUSH}")
logging.getLogger("amqp").debug("{HUSH}")
"""

    text = said(code, form=form, level="debug")

    assert "Asked" in text
    assert HUSH not in text


@pytest.mark.parametrize(("level", "heard"), [("debug", "abc"), ("info", "bc"), ("error", "c")])
def test_what_is_less_than_the_level_is_not_said(level: logs.Level, heard: str) -> None:
    text = said("log.debug('a'); log.info('b'); log.error('c')", form="json", level=level)

    assert "".join(line["message"] for line in objects(text)) == heard


def test_celery_and_django_leave_our_logs_as_they_are(tmp_path: Path) -> None:
    code = f"""
import os
os.environ.update(QANAT_DATA_DIR={str(tmp_path)!r}, QANAT_LOG_FORMAT="json")
os.environ["DJANGO_SETTINGS_MODULE"] = "qanat.server.config.settings"
import django
django.setup()
from qanat.server.config.celery import app
app.log.setup(loglevel="WARNING", redirect_stdouts=True)
log.info("a")
logging.getLogger("celery.task").warning("b")
logging.getLogger("django.request").error("c", extra={{"request": {HUSH!r}}})
"""

    text = said(code, form="text")

    assert [line["message"] for line in objects(text)] == ["a", "b", "c"]
    assert HUSH not in text


def test_a_thread_that_carries_on_is_about_the_same(caplog: pytest.LogCaptureFixture) -> None:
    caplog.handler.setFormatter(logs.JsonLines())
    with logs.about(step=7):
        carrying, other = (
            threading.Thread(target=target)
            for target in (
                logs.carried(lambda: logging.getLogger("a").warning("x")),
                lambda: logging.getLogger("b").warning("x"),
            )
        )
    for thread in (carrying, other):
        thread.start()
        thread.join()

    assert [line.get("step") for line in objects(caplog.text)] == [7, None]


def test_where_nothing_is_entered_nothing_is_added(caplog: pytest.LogCaptureFixture) -> None:
    caplog.handler.setFormatter(logs.JsonLines())

    logs.add(run=3)
    logging.getLogger("a").warning("x")

    assert "run" not in objects(caplog.text)[0]


def test_a_field_that_is_not_listed_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no line is about \['password'\]"), logs.about(password=HUSH):
        pass
