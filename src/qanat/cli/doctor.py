"""``qanat doctor``: what is missing on this machine, and how to mend it.

A check looks at one thing and returns a sentence; it imports nothing heavy, starts nothing and leaves nothing behind.
``missing`` means that `qanat up` does not start, or that runs fail; ``warning``, that something is slow, tight or
surprising.
"""

import fcntl
import itertools
import json
import os
import re
import resource
import shutil
import socket
import sqlite3
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from functools import cached_property, partial
from importlib import metadata, util
from pathlib import Path
from typing import Any, Final, TypeVar

import httpx
import typer
from rich.console import Console
from rich.text import Text

from qanat.cli.up import broker
from qanat.cli.up.layout import Layout, default_data_dir, read_json
from qanat.configuration import places, report
from qanat.configuration.base import names_of
from qanat.configuration.database import Database
from qanat.configuration.report import InEffect
from qanat.configuration.server import ServerSettings
from qanat.configuration.sources import BadSettings, Sources
from qanat.configuration.storage import S3_TYPES
from qanat.configuration.worker import WorkerSettings
from qanat.server.config import environment as server_environment
from qanat.worker.identity import ModelDirectoryError, identify

console = Console(highlight=False)

HOST: Final = "127.0.0.1"
PORTS: Final = {"api": (8000, "--port"), "websocket": (8001, "--websocket-port")}
GIB: Final = 2**30
SPACE_TO_START: Final = GIB // 5
SPACE_TO_WORK: Final = 5 * GIB
"""A run of a real model keeps some gigabytes of inputs, work files and results."""
MEMORY_TO_WORK: Final = 2 * GIB
FILES_TO_WORK: Final = 1024
"""The kernel opens some pipes for each of its processes; macOS allows 256 files by default."""
LONGEST_SOCKET_PATH: Final = 103
"""macOS takes 103 bytes, Linux 107."""
ANSWER_SECONDS: Final = 3.0
NAMES_SHOWN: Final = 3
WIDEST_VALUE: Final = 48
"""Longer values push what follows them aside rather than being broken."""
KERNEL: Final = ("oasislmf", "ods-tools", "pandas", "numba", "numpy")
BESIDES: Final = {"celery[redis]": "redis", "psycopg[binary]": "psycopg-binary"}
"""What an extra of an extra brings that nothing works without."""
REINSURANCE: Final = "the kernel loses the reinsurance programme with it"
MODEL_PATHS: Final = ("lookup_data_dir", "lookup_config_json", "lookup_module_path", "model_data_dir")
"""Keys of a model's configuration that name a path which a run needs."""
REQUIREMENT: Final = re.compile(
    r"(?P<name>[\w.-]+)(?P<extras>\[[\w,.-]+\])?\s*\(?(?P<bounds>[^;()]*)\)?\s*(;.*extra\s*==\s*['\"](?P<extra>[\w-]+)['\"])?"
)

Read = TypeVar("Read", ServerSettings, WorkerSettings)


class State(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARNING = "warning"
    MISSING = "missing"


@dataclass(frozen=True, kw_only=True)
class Check:
    """What was looked at, and what was found."""

    name: str
    state: State
    found: str
    mend: str = ""
    """What to do; empty where all is well."""


@dataclass(frozen=True, kw_only=True)
class Requirement:
    """A distribution that Qanat, or one of its extras, needs."""

    name: str
    bounds: str
    """As in ``pyproject.toml``: ``>=2.3.2,<3``."""
    extra: str
    """Empty for what is always needed."""


def _installed(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


@dataclass(frozen=True, kw_only=True)
class Here:
    """What the checks look at; tests give them another machine."""

    layout: Layout
    model: Path | None = None
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    requirements: tuple[Requirement, ...] = field(default_factory=lambda: requirements_of("qanat"))
    installed: Callable[[str], str | None] = _installed
    """The version of a distribution, or None."""

    @cached_property
    def sources(self) -> Sources:
        """Where settings come from.

        Raises:
            BadSettings: the INI file cannot be read.
        """
        return Sources.read(self.environment)

    @cached_property
    def server(self) -> ServerSettings | BadSettings:
        """The settings of the server, or why it would not start with them."""
        try:
            settings = self._read(ServerSettings)
            server_environment.refuse_weak_secrets(settings)
        except BadSettings as error:
            return error
        return settings

    @cached_property
    def worker(self) -> WorkerSettings | BadSettings:
        """The settings of a worker, likewise."""
        try:
            return self._read(WorkerSettings)
        except BadSettings as error:
            return error

    def _read(self, settings: type[Read]) -> Read:
        """Read settings, with the data directory that was asked for."""
        usual = Path(self.environment.get("QANAT_DATA_DIR") or places.default_data_dir()).resolve()
        return settings.read(self.sources, {} if self.layout.root == usual else {"data_dir": self.layout.root})


def doctor(*, model: Path | None, data_dir: Path | None, as_json: bool) -> None:
    """Look at everything and print it.

    Raises:
        typer.Exit: with code 1, something is missing.
    """
    here = Here(layout=Layout((data_dir or default_data_dir()).resolve()), model=model)
    checks, rows = examine(here), in_effect(here)
    healthy = all(check.state is not State.MISSING for check in checks)
    if as_json:
        document = {"healthy": healthy, "checks": list(map(asdict, checks)), "settings": list(map(asdict, rows))}
        print(json.dumps(document))  # noqa: T201 - scripts
    else:
        show_settings(rows, console)
        show(checks, console)
    if not healthy:
        raise typer.Exit(code=1)


def examine(here: Here) -> tuple[Check, ...]:
    """Do all checks that apply."""
    return tuple(found for check in CHECKS if (found := check(here)) is not None)


def in_effect(here: Here) -> tuple[InEffect, ...]:
    """Return all settings that processes started here would go by, as far as they would start."""
    processes = {"server": here.server, "worker": here.worker}
    return tuple(
        row
        for process, settings in processes.items()
        if not isinstance(settings, BadSettings)
        for row in report.in_effect(process, settings)
    )


def show_settings(rows: tuple[InEffect, ...], to: Console) -> None:
    """Print a table a process: each setting, its value, and who says so."""
    for process in dict.fromkeys(row.process for row in rows):
        lines = [("setting", "value", "from")]
        lines += [(row.name, row.value, row.origin) for row in rows if row.process == process]
        name, value = (max(len(line[column]) for line in lines) for column in (0, 1))
        to.print(Text(f"Settings of the {process}", style="bold"))
        for number, line in enumerate(lines):
            text = f"{line[0]:<{name}}  {line[1]:<{min(value, WIDEST_VALUE)}}  {line[2]}"
            to.print(Text(text, style="" if number else "underline"), soft_wrap=True)
        to.print()


def show(checks: tuple[Check, ...], to: Console) -> None:
    """Print a line a check, beneath it how to mend it, and the sum of it all."""
    colours = {State.OK: "green", State.WARNING: "yellow", State.MISSING: "bold red"}
    width = max((len(check.name) for check in checks), default=0)
    for check in checks:
        line = Text.assemble((f"{check.state:<8}", colours[check.state]), f" {check.name:<{width}}  {check.found}")
        to.print(line, soft_wrap=True)
        if check.mend:
            to.print(Text(f"{'':9}{'':{width}}  → {check.mend}"), soft_wrap=True)
    missing = sum(check.state is State.MISSING for check in checks)
    warnings = sum(check.state is State.WARNING for check in checks)
    if missing:
        to.print(f"\n{missing} of {len(checks)} checks found something missing: mend those lines first.")
        if any(check.state is State.MISSING and check.name.startswith("extra") for check in checks):
            to.print("To use a server elsewhere (`qanat run --server URL`), no extra is needed.")
    elif warnings:
        to.print(f"\nNothing is missing; {warnings} of {len(checks)} checks found something worth a look.")
    else:
        to.print("\nAll is well.")


# What is installed


def requirements_of(distribution: str) -> tuple[Requirement, ...]:
    """Return what an installed distribution says it needs; nothing where it is not installed as one."""
    try:
        lines = metadata.requires(distribution) or []
    except metadata.PackageNotFoundError:
        return ()
    return tuple(requirement for line in lines for requirement in parse_requirement(line))


def parse_requirement(line: str) -> Iterator[Requirement]:
    """Read a line of a distribution's metadata: what it names, and what must come with that.

    Raises:
        ValueError: it is no requirement with plain bounds and at most an extra as its marker.
    """
    match = REQUIREMENT.fullmatch(line.strip())
    if match is None:
        message = f"{line!r} is not a requirement that the doctor understands."
        raise ValueError(message)
    extra = match["extra"] or ""
    yield Requirement(name=match["name"], bounds=match["bounds"].strip(), extra=extra)
    besides = BESIDES.get(f"{match['name']}{match['extras'] or ''}")
    if besides:
        yield Requirement(name=besides, bounds="", extra=extra)


def within(version: str, bounds: str) -> bool:
    """Say whether a version keeps to bounds such as ``>=2.3.2,<3``; suffixes (``rc1``, ``.post1``) do not count."""
    compare: dict[str, Callable[[tuple[int, ...], tuple[int, ...]], bool]] = {
        ">=": lambda a, b: a >= b,
        "<=": lambda a, b: a <= b,
        "==": lambda a, b: a == b,
        "!=": lambda a, b: a != b,
        ">": lambda a, b: a > b,
        "<": lambda a, b: a < b,
    }
    for bound in filter(None, (part.strip() for part in bounds.split(","))):
        operator, wanted = re.fullmatch(r"([<>=!]=?)\s*(.+)", bound).groups()  # type: ignore[union-attr]
        pairs = list(itertools.zip_longest(_numbers(version), _numbers(wanted), fillvalue=0))
        if not compare[operator](tuple(a for a, _ in pairs), tuple(b for _, b in pairs)):
            return False
    return True


def _numbers(version: str) -> tuple[int, ...]:
    match = re.match(r"\d+(\.\d+)*", version)
    return tuple(map(int, match[0].split("."))) if match else ()


def python(here: Here, *, version: tuple[int, int] | None = None) -> Check:
    """Look at the Python that runs this."""
    del here
    running = version or sys.version_info[:2]
    served = sorted(_served_pythons())
    found = f"Python {running[0]}.{running[1]} ({sys.executable})"
    if not served or running in served:
        return Check(name="python", state=State.OK, found=found)
    span = f"{_dotted(served[0])} to {_dotted(served[-1])}"
    return Check(
        name="python",
        state=State.MISSING if running < served[0] else State.WARNING,
        found=f"{found}; Qanat is made for {span}",
        mend=f"Make an environment with Python {_dotted(served[-1])} and install Qanat there; the kernel's compiler "
        "serves no other.",
    )


def _served_pythons() -> set[tuple[int, int]]:
    try:
        classifiers = metadata.metadata("qanat").get_all("Classifier") or []
    except metadata.PackageNotFoundError:
        return set()
    matches = (re.fullmatch(r"Programming Language :: Python :: (\d+)\.(\d+)", line) for line in classifiers)
    return {(int(match[1]), int(match[2])) for match in matches if match}


def _dotted(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"


def distribution(here: Here) -> Check | None:
    """Look whether Qanat itself is installed: without that, nobody knows what it needs."""
    if here.requirements:
        return None
    return Check(
        name="qanat",
        state=State.WARNING,
        found="runs from its source without being installed, so its requirements are not known",
        mend="In the source's folder: pip install -e '.[server,worker,embedded]'",
    )


def extra_installed(here: Here, *, name: str, needed_for: str) -> Check | None:
    """Look whether an extra is installed, within its bounds; the kernel's versions have checks of their own."""
    wanted = [requirement for requirement in here.requirements if requirement.extra == name]
    if not wanted:
        return None
    label, mend = f"extra {name}", f"pip install 'qanat[{name}]'"
    absent = [requirement.name for requirement in wanted if here.installed(requirement.name) is None]
    if absent and not _extra_is_optional(here, name):
        more = f" and {len(absent) - NAMES_SHOWN} more" if len(absent) > NAMES_SHOWN else ""
        found = f"not installed ({', '.join(absent[:NAMES_SHOWN])}{more}); needed for {needed_for}"
        return Check(name=label, state=State.MISSING, found=found, mend=mend)
    if absent:
        return Check(name=label, state=State.OK, found=f"not installed; only needed for {needed_for}")
    outside = [
        f"{requirement.name} {version} is not {requirement.bounds}"
        for requirement in wanted
        if requirement.name not in KERNEL
        and (version := here.installed(requirement.name)) is not None
        and not within(version, requirement.bounds)
    ]
    if outside:
        return Check(name=label, state=State.WARNING, found="; ".join(outside), mend=mend)
    return Check(name=label, state=State.OK, found=f"installed, for {needed_for}")


def _extra_is_optional(here: Here, name: str) -> bool:
    storage = _storage_type(here)
    unneeded = {
        "postgres": isinstance(here.server, BadSettings) or here.server.database.kind != "postgresql",
        "s3": storage not in S3_TYPES,
        "azure": storage != "azure",
    }
    return unneeded.get(name, False)


def _storage_type(here: Here) -> str:
    """Return where files are to lie, also where the settings about it are not complete."""
    try:
        found = here.sources.find(names_of(ServerSettings)["storage_type"])
    except BadSettings:
        return ""
    return found.value.lower() if found else ""


def kernel_version(here: Here, *, name: str) -> Check | None:
    """Look at the version of a package on which losses depend (docs/decisions/0001-kernel-pins.md)."""
    version = here.installed(name)
    bounds = ",".join(dict.fromkeys(wanted.bounds for wanted in here.requirements if wanted.name == name))
    if version is None or not bounds:
        return None
    if within(version, bounds):
        return Check(name=name, state=State.OK, found=f"{version} ({bounds})")
    breaks = name == "pandas" and not within(version, "<3")
    consequence = REINSURANCE if breaks else "nobody has compared losses on it"
    return Check(
        name=name,
        state=State.MISSING if breaks else State.WARNING,
        found=f"{version} is not {bounds}: {consequence}",
        mend=f"pip install '{name}{bounds}'",
    )


def kernel_cache(here: Here) -> Check | None:
    """Look where the kernel keeps its compiled functions: without a place to write, numba refuses to import it."""
    spec = util.find_spec("oasislmf")
    if spec is None or not spec.submodule_search_locations:
        return None
    package = Path(spec.submodule_search_locations[0])
    places = _cache_places(here.environment, package)
    usable = [place for place in places if can_write(place)]
    if not usable:
        return Check(
            name="kernel cache",
            state=State.MISSING,
            found=f"none can be written of {', '.join(map(str, places))}: the kernel cannot be loaded",
            mend="Set NUMBA_CACHE_DIR to a folder that you may write to.",
        )
    if "NUMBA_CACHE_DIR" in here.environment and usable[0] != places[0]:
        return Check(
            name="kernel cache",
            state=State.WARNING,
            found=f"NUMBA_CACHE_DIR ({places[0]}) cannot be written; {usable[0]} is used instead",
            mend="Set NUMBA_CACHE_DIR to a folder that you may write to, or leave it out.",
        )
    suffix = f".py{sys.version_info[0]}{sys.version_info[1]}.nbi"
    compiled = sum(1 for _ in usable[0].rglob(f"*{suffix}")) if usable[0].is_dir() else 0
    warm = f"{compiled} functions compiled" if compiled else "nothing compiled yet, so the first run takes minutes more"
    return Check(name="kernel cache", state=State.OK, found=f"{usable[0]}: {warm}")


def _cache_places(environment: Mapping[str, str], package: Path) -> list[Path]:
    """Return where numba looks for a place, in its order; runners inherit HOME, but no XDG_CACHE_HOME."""
    home = Path(environment.get("HOME") or Path.home())
    users = home / ("Library/Caches" if sys.platform == "darwin" else ".cache") / "numba"
    given = environment.get("NUMBA_CACHE_DIR")
    return [*([Path(given)] if given else []), package, users]


# The machine


def can_write(folder: Path) -> bool:
    """Say whether this user may write into a folder, or make it."""
    existing = next((place for place in (folder, *folder.parents) if place.exists()), None)
    return existing is not None and existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)


def data_directory(here: Here) -> Check:
    """Look whether the platform can keep its data, and how much more."""
    root = here.layout.root
    mend = "Give another place with --data-dir or QANAT_DATA_DIR."
    if not can_write(root):
        found = f"{root} cannot be written by this user"
        return Check(name="data directory", state=State.MISSING, found=found, mend=mend)
    existing = next(place for place in (root, *root.parents) if place.exists())
    free = shutil.disk_usage(existing).free
    found = f"{root}, {_gib(free)} free"
    if free < SPACE_TO_START:
        return Check(name="data directory", state=State.MISSING, found=found, mend=f"Make room there. {mend}")
    if free < SPACE_TO_WORK:
        mend = f"A run of a real model keeps some gigabytes: make room there. {mend}"
        return Check(name="data directory", state=State.WARNING, found=found, mend=mend)
    return Check(name="data directory", state=State.OK, found=found)


def sockets(here: Here) -> Check:
    """Look at the folder of the broker's socket: its path must be short, and nobody else's."""
    runtime, socket_path = here.layout.runtime, broker.socket_path(here.layout)
    mend = "Set TMPDIR to a folder of your own with a short path."
    if not can_write(runtime) or (runtime.exists() and runtime.stat().st_uid != os.getuid()):
        found = f"{runtime} cannot be used by this user"
        return Check(name="sockets", state=State.MISSING, found=found, mend=mend)
    if len(os.fsencode(socket_path)) > LONGEST_SOCKET_PATH:
        found = f"{socket_path} is longer than the {LONGEST_SOCKET_PATH} bytes that a socket's path may have"
        return Check(name="sockets", state=State.MISSING, found=found, mend=mend)
    return Check(name="sockets", state=State.OK, found=str(runtime))


def memory(here: Here, *, available: int | None = None) -> Check | None:
    """Look how much memory is free."""
    del here
    free = available_memory() if available is None else available
    if free is None:
        return None
    if free >= MEMORY_TO_WORK:
        return Check(name="memory", state=State.OK, found=f"{_gib(free)} available")
    return Check(
        name="memory",
        state=State.WARNING,
        found=f"{_gib(free)} available; the demonstration runs in less, real models need more",
        mend="Close what else uses memory, or let a model use fewer processes: kernel_num_processes in its "
        "oasislmf.json.",
    )


def available_memory(
    meminfo: Path = Path("/proc/meminfo"), limit: Path = Path("/sys/fs/cgroup/memory.max")
) -> int | None:
    """Return the bytes that new processes may take: what the system says is available, within the container's limit.

    Where the system does not say (macOS), what is built in; None where that is not known either.
    """
    try:
        lines = dict(line.split(":", 1) for line in meminfo.read_text().splitlines() if ":" in line)
        free = int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        try:
            return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        except (OSError, ValueError):
            return None
    try:
        return min(free, int(limit.read_text()))
    except (OSError, ValueError):
        return free


def open_files(here: Here, *, limit: int | None = None) -> Check:
    """Look how many files a process may open."""
    del here
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[0] if limit is None else limit
    if allowed == resource.RLIM_INFINITY or allowed >= FILES_TO_WORK:
        found = "no limit" if allowed == resource.RLIM_INFINITY else f"{allowed:,} a process"
        return Check(name="open files", state=State.OK, found=found)
    return Check(
        name="open files",
        state=State.WARNING,
        found=f"{allowed:,} a process; runs with many kernel processes need more",
        mend="ulimit -n 4096   (in this shell, before `qanat up`)",
    )


# The platform


def running_platform(here: Here) -> Check:
    """Look whether a platform runs from the data directory, and answers."""
    url = read_json(here.layout.running).get("url")
    locked = _is_locked(here.layout.root / "lock")
    if locked and not url:
        return Check(name="platform", state=State.OK, found="one is starting from this data directory")
    if not url:
        return Check(name="platform", state=State.OK, found="none runs from this data directory")
    if answers(url):
        return Check(name="platform", state=State.OK, found=f"runs and answers at {url}")
    if locked:
        return Check(
            name="platform",
            state=State.WARNING,
            found=f"runs, but does not answer at {url}",
            mend=f"Read {here.layout.logs / 'server.log'}; if it stays so, stop it with Ctrl-C and start it again.",
        )
    return Check(
        name="platform",
        state=State.OK,
        found=f"none runs; the last one, at {url}, was ended hard, and `qanat up` goes on with its runs",
    )


def answers(url: str) -> bool:
    """Say whether an API answers there that it is well."""
    try:
        return httpx.get(f"{url}/api/healthcheck/", timeout=ANSWER_SECONDS).is_success
    except (httpx.TransportError, httpx.InvalidURL):
        return False


def _is_locked(path: Path) -> bool:
    """Say whether a platform holds the lock, without leaving a trace."""
    try:
        with path.open("rb") as stream:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def port(here: Here, *, name: str, number: int, option: str) -> Check | None:
    """Look whether a port is free, where no platform runs that has it by right."""
    if _is_locked(here.layout.root / "lock"):
        return None
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, number))
        except OSError as error:
            return Check(
                name=f"{name} port",
                state=State.MISSING,
                found=f"{number} of {HOST} cannot be used ({error.strerror})",
                mend=f"Stop what listens there, or choose another: qanat up {option} {number + 10}",
            )
    return Check(name=f"{name} port", state=State.OK, found=f"{number} is free")


# Settings and database


def settings(here: Here) -> Check:
    """Let server and worker read their settings, as they will when they start, and look for names that nobody reads."""
    for settings in (here.server, here.worker):
        if isinstance(settings, BadSettings):
            mend = "Correct or unset what it names."
            return Check(name="settings", state=State.MISSING, found=str(settings), mend=mend)
    if strange := report.unknown(here.sources):
        meant = [f"{remark.why} for {remark.name}" for remark in strange if remark.why]
        return Check(
            name="settings",
            state=State.WARNING,
            found=f"nobody reads {', '.join(remark.name for remark in strange)}",
            mend=f"Perhaps you meant {', '.join(meant)}." if meant else "Unset what is of no use.",
        )
    given = [name for name in here.sources.variables if name in here.environment]
    inis = [f"{len(here.sources.ini)} keys in {here.sources.ini_path}"] if here.sources.ini_path else []
    found = ", ".join([*given, *inis]) or "nothing is"
    return Check(name="settings", state=State.OK, found=f"{found} set; all defaults otherwise")


def settings_without_effect(here: Here) -> Check | None:
    """Look for names of the reference platform that change nothing here."""
    if isinstance(here.server, BadSettings):
        return None
    remarks = report.without_effect(here.sources)
    if not remarks:
        return None
    reasons: dict[str, list[str]] = {}
    for remark in remarks:
        reasons.setdefault(remark.why, []).append(remark.name)
    told = "; ".join(f"{', '.join(names)} ({reason})" for reason, names in reasons.items())
    return Check(name="without effect", state=State.OK, found=told)


def database(here: Here) -> Check:
    """Look whether the database answers, and fits this release."""
    if isinstance(here.server, BadSettings):
        return Check(
            name="database",
            state=State.WARNING,
            found="not looked at: the settings do not say which it is",
            mend="Mend the settings first.",
        )
    found = here.server.database
    if found.kind == "sqlite":
        file = Path(found.name)
        if not file.is_file():
            return Check(name="database", state=State.OK, found="SQLite, made on the first `qanat up`")
        where, read = f"SQLite, {file}", partial(_applied_in_sqlite, file)
    else:
        where, read = f"PostgreSQL, {found.name} at {found.host or 'this host'}", partial(_applied_in_postgresql, found)
    try:
        return migrations(where, applied=read(), shipped=shipped_migrations())
    except DatabaseAway as error:
        return Check(name="database", state=State.MISSING, found=f"{where}: {error}", mend=error.mend)


class DatabaseAway(Exception):
    """The database cannot be read; the message has its words."""

    def __init__(self, words: str, *, mend: str) -> None:
        """Keep what to do."""
        super().__init__(words)
        self.mend = mend


def migrations(where: str, *, applied: set[tuple[str, str]], shipped: set[tuple[str, str]]) -> Check:
    """Compare the changes of tables that a database has with those that this release brings."""
    ours = {app for app, _ in shipped}
    if newer := sorted(f"{app} {name}" for app, name in applied - shipped if app in ours):
        return Check(
            name="database",
            state=State.WARNING,
            found=f"{where}; a newer release has changed it ({', '.join(newer)})",
            mend="pip install --upgrade qanat",
        )
    if behind := shipped - applied:
        return Check(
            name="database",
            state=State.WARNING,
            found=f"{where}; {len(behind)} of {len(shipped)} changes of its tables are still to be made",
            mend="`qanat up` makes them by itself; elsewhere: qanat server migrate",
        )
    return Check(name="database", state=State.OK, found=f"{where}; its tables are those of this release")


def shipped_migrations() -> set[tuple[str, str]]:
    """Return the changes of tables that this release brings, by application and name."""
    server = Path(server_environment.__file__).parents[1]
    return {(path.parents[1].name, path.stem) for path in server.glob("*/migrations/[0-9]*.py")}


APPLIED: Final = "SELECT app, name FROM django_migrations"


def _applied_in_sqlite(file: Path) -> set[tuple[str, str]]:
    try:
        connection = sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True, timeout=ANSWER_SECONDS)
        try:
            tables = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'django_migrations'").fetchall()
            return set(connection.execute(APPLIED)) if tables else set()
        finally:
            connection.close()
    except sqlite3.Error as error:
        mend = f"Move {file} away, and a new one is made; or put back a copy of it that is whole."
        raise DatabaseAway(str(error), mend=mend) from error


def _applied_in_postgresql(database: Database) -> set[tuple[str, str]]:
    try:
        import psycopg  # noqa: PLC0415 - an extra
    except ImportError:
        words = "its client is not installed"
        raise DatabaseAway(words, mend="pip install 'qanat[postgres]'") from None
    parts = {
        "dbname": database.name,
        "host": database.host,
        "port": database.port,
        "user": database.user,
        "password": database.password,
    }
    given: dict[str, Any] = {name: value for name, value in parts.items() if value}
    try:
        with psycopg.connect(**{**given, **database.options, "connect_timeout": int(ANSWER_SECONDS)}) as connection:
            known: Any = connection.execute("SELECT to_regclass('django_migrations')").fetchone()
            return set(connection.execute(APPLIED).fetchall()) if known and known[0] else set()
    except psycopg.Error as error:
        mend = "Start the database, or correct its address; the server's log says who refused whom."
        raise DatabaseAway(" ".join(str(error).split()), mend=mend) from error


# A model


def model_folder(here: Here) -> Check | None:
    """Look whether a folder holds a model, and what its configuration names."""
    if here.model is None:
        return None
    try:
        found = identify(here.model)
    except ModelDirectoryError as error:
        return Check(
            name="model",
            state=State.MISSING,
            found=str(error),
            mend="docs/how-to/run-on-a-laptop.md says what a model's folder holds.",
        )
    folder = found.config_path.parent
    named = {key: str(found.config[key]) for key in MODEL_PATHS if found.config.get(key)}
    if absent := [f"{key} ({path})" for key, path in named.items() if not (folder / path).exists()]:
        return Check(
            name="model",
            state=State.MISSING,
            found=f"{found}: {found.config_path} names what is not there: {', '.join(absent)}",
            mend=f"Put it there (paths are relative to {folder}), or correct the configuration.",
        )
    return Check(name="model", state=State.OK, found=f"{found}, {here.model}")


def _gib(size: int) -> str:
    return f"{size / GIB:.1f} GiB"


CHECKS: Final[tuple[Callable[[Here], Check | None], ...]] = (
    python,
    distribution,
    partial(extra_installed, name="server", needed_for="the platform on this machine"),
    partial(extra_installed, name="worker", needed_for="running models on this machine"),
    partial(extra_installed, name="embedded", needed_for="`qanat up`, which starts its own broker"),
    partial(extra_installed, name="postgres", needed_for="a PostgreSQL database"),
    partial(extra_installed, name="s3", needed_for="files in S3"),
    partial(extra_installed, name="azure", needed_for="files in Azure Blob"),
    *(partial(kernel_version, name=name) for name in KERNEL),
    kernel_cache,
    data_directory,
    sockets,
    memory,
    open_files,
    settings,
    settings_without_effect,
    database,
    running_platform,
    *(partial(port, name=name, number=number, option=option) for name, (number, option) in PORTS.items()),
    model_folder,
)
