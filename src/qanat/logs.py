"""Logs of all processes: a line an event, for people or as JSON, with what the code is at.

Whoever enters a run or a step says so once (``about``); every line that is logged until it is left carries it, so that
all lines of a step can be found over all processes. Lines say what is listed here and nothing else: libraries add more
to their records, such as requests with their headers, and secrets may not reach a log.
"""

import json
import logging
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from datetime import UTC, datetime
from functools import partial
from types import TracebackType
from typing import Any, Final, Literal

Format = Literal["text", "json"]
Level = Literal["debug", "info", "warning", "error"]

FIELDS: Final = ("run", "analysis", "portfolio", "step", "sub_task", "attempt", "model")
"""What a line may be about. ``step`` is the number of a sub-task, ``sub_task`` its name, ``attempt`` the fence; of
``model`` supplier, model and version are written as in the name of its queue."""
OURS: Final = "qanat"
LIBRARIES: Final = {
    # They log each request or each message; Azure's even with its headers.
    "azure": "WARNING",
    "celery.app.trace": "WARNING",
    "celery.beat": "WARNING",
    "celery.worker.strategy": "WARNING",
    "httpx": "WARNING",
}
UNCAUGHT: Final = "Nobody has caught this"

_process: dict[str, object] = {"process": "qanat"}
_about: ContextVar[Mapping[str, object] | None] = ContextVar("what is logged about", default=None)


def process_is(name: str, **about: object) -> None:
    """Say what this process is, and what all that it does is about; forks inherit it."""
    _process.clear()
    _process.update({"process": name, **_known(about)})


@contextmanager
def about(**fields: object) -> Iterator[None]:
    """Have all lines within say what they are about, besides what is said around; None says nothing.

    It can also be put before a function.
    """
    token = _about.set({**(_about.get() or {}), **_known(fields)})
    try:
        yield
    finally:
        _about.reset(token)


def add(**fields: object) -> None:
    """Say more of what is entered already, until it is left; where nothing is entered, nothing is said."""
    if (entered := _about.get()) is not None:
        _about.set({**entered, **_known(fields)})


def carried(target: Callable[..., None]) -> Callable[..., None]:
    """Return a function for a new thread whose lines are about what this thread is at now."""
    return partial(copy_context().run, target)


def configuration(*, form: Format, level: Level) -> dict[str, Any]:
    """Return how Python shall log, for ``logging.config.dictConfig``: to standard error.

    ``level`` is that of our own loggers; libraries say no more than INFO, for what they say beyond is not for logs.
    """
    own = level.upper()
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"()": JsonLines if form == "json" else TextLines}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"handlers": ["stderr"], "level": "INFO" if own == "DEBUG" else own},
        "loggers": {
            # Django gives its own a handler, which would say everything twice.
            "django": {"handlers": [], "level": "NOTSET", "propagate": True},
            **{name: {"level": max(own, quiet, key=_number)} for name, quiet in LIBRARIES.items()},
            OURS: {"level": own},
        },
    }


def catch_the_rest() -> None:
    """Log warnings of Python, and what ends this process or one of its threads, as all else."""
    logging.captureWarnings(capture=True)
    sys.excepthook = _uncaught
    threading.excepthook = _uncaught_in_thread


def leave_as_it_is(**_: object) -> None:
    """Do what Celery shall do about logs, which asks whoever listens to ``setup_logging``: nothing."""


class TextLines(logging.Formatter):
    """A line for people: time, level, process, logger, what it is about, the message; a traceback beneath."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - Python's name
        """Return all but the traceback."""
        time = self.formatTime(record)
        known = _all_about()
        process = known.pop("process")
        said = "".join(f" {name}={value}" for name, value in known.items())
        return f"{time} {record.levelname} {process} {record.name}{said}: {_one_line(record.message)}"


class JsonLines(logging.Formatter):
    """A line for programmes: a JSON object.

    ``time`` (RFC 3339, UTC), ``level``, ``logger``, ``message``, ``process``, ``pid``; those of ``FIELDS`` that are
    known; of an exception its ``traceback``.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the object."""
        moment = datetime.fromtimestamp(record.created, tz=UTC)
        line: dict[str, object] = {
            "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "pid": record.process,
            **_all_about(),
        }
        if record.exc_info and record.exc_info[0] is not None:
            line["traceback"] = self.formatException(record.exc_info)
        elif record.exc_text:
            line["traceback"] = record.exc_text
        return json.dumps(line, default=str, ensure_ascii=False)


def _known(fields: Mapping[str, object]) -> dict[str, object]:
    """Return the fields that say something.

    Raises:
        ValueError: one is not among those that a line may have.
    """
    if unknown := fields.keys() - set(FIELDS):
        message = f"no line is about {sorted(unknown)}: FIELDS says what there is"
        raise ValueError(message)
    return {name: value for name, value in fields.items() if value is not None}


def _all_about() -> dict[str, object]:
    """Return what this process is, and what it is at, in the order of ``FIELDS``."""
    known = {**_process, **(_about.get() or {})}
    return {name: known[name] for name in ("process", *FIELDS) if name in known}


def _number(level: str) -> int:
    return logging.getLevelNamesMapping()[level]


def _one_line(text: str) -> str:
    r"""Return a text without its line breaks, for whoever sends one could make up lines of ours."""
    return text.replace("\r", "\\r").replace("\n", "\\n")


def _uncaught(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, traceback)
        return
    logging.getLogger(OURS).critical(UNCAUGHT, exc_info=(kind, error, traceback))


def _uncaught_in_thread(what: threading.ExceptHookArgs) -> None:
    if what.exc_value is not None and not issubclass(what.exc_type, SystemExit):
        _uncaught(what.exc_type, what.exc_value, what.exc_traceback)
