"""What is in effect and who said so; what is given and changes nothing; what is given and nobody knows."""

import difflib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Final

from qanat.configuration.base import DEFAULT, Settings, names_of
from qanat.configuration.names import Place
from qanat.configuration.server import ServerSettings
from qanat.configuration.sources import INI_PATH, Sources
from qanat.configuration.unused import ALL, UNUSED
from qanat.configuration.worker import WorkerSettings

logger = logging.getLogger(__name__)

PROCESSES: Final[dict[str, type[Settings]]] = {"server": ServerSettings, "worker": WorkerSettings}
COMMANDS: Final = {
    INI_PATH: "the INI file to read",
    "QANAT_USER": "`qanat run`: user name",
    "QANAT_PASSWORD": "`qanat run`: password",
}
TESTS: Final = {
    "QANAT_PIWIND": "where the PiWind model lies",
    "QANAT_FUZZ_CASES": "how many requests `make fuzz` makes up",
    "QANAT_MACHINE_STEPS": "how many steps the engine's state machine takes",
}
ALIKE: Final = 0.8
"""How alike names must be for one to be meant by the other; their prefixes alone are alike by half."""


@dataclass(frozen=True, kw_only=True)
class InEffect:
    """A setting of a process."""

    process: str
    name: str
    """The variable that beats all others."""
    value: str
    """Not of a secret."""
    origin: str


@dataclass(frozen=True, kw_only=True)
class Remark:
    """A name that is given and changes nothing."""

    name: str
    """The variable, or the place in the INI file."""
    why: str
    """For a name that is not known: the nearest one that is, or nothing."""


def in_effect(process: str, settings: Settings) -> tuple[InEffect, ...]:
    """Return what a process goes by; what is neither given nor has a default is left out."""
    idle = settings.idle()
    rows = []
    for name, names in names_of(type(settings)).items():
        value, origin = settings.shown(name), settings.origin(name)
        given = origin != DEFAULT
        if names.variables and (given or (value and name not in idle)):
            without = f" (without effect: {idle[name]})" if name in idle else ""
            rows.append(InEffect(process=process, name=names.variables[0], value=f"{value}{without}", origin=origin))
    return tuple(rows)


def without_effect(sources: Sources) -> tuple[Remark, ...]:
    """Return what is given and known, but changes nothing here, with the reason."""
    known = _unused()
    found = ((origin, _reason(name, known)) for origin, name in _given(sources) if name not in _used())
    return tuple(Remark(name=origin, why=reason) for origin, reason in found if reason)


def unknown(sources: Sources) -> tuple[Remark, ...]:
    """Return what is given and not known to anybody, with the nearest name that is."""
    strange = ((origin, name) for origin, name in _given(sources) if not is_known(name))
    return tuple(Remark(name=origin, why=_nearest(name)) for origin, name in strange)


def about_unknown(sources: Sources) -> list[str]:
    """Return a sentence for each name that nobody knows."""
    return [
        f"Nobody reads {remark.name}{f': perhaps {remark.why} is meant' if remark.why else ''}"
        for remark in unknown(sources)
    ]


def is_known(name: str | Place) -> bool:
    """Say whether a variable, or a key of the INI file, is read or known to be without effect."""
    return name in _used() or bool(_reason(name, _unused()))


def log_at_start(sources: Sources) -> None:
    """Tell the log of a process what is given and changes nothing."""
    for sentence in about_unknown(sources):
        logger.warning("%s", sentence)
    if names := [remark.name for remark in without_effect(sources)]:
        logger.info("Without effect here (qanat doctor says why): %s", "; ".join(names))


def _given(sources: Sources) -> Iterator[tuple[str, str | Place]]:
    """Yield what is given: how to speak of it, and its name."""
    yield from ((variable, variable) for variable in sources.variables)
    yield from ((sources.describe(place), place) for place in sources.ini)


@cache
def _used() -> frozenset[str | Place]:
    names = [names for settings in PROCESSES.values() for names in names_of(settings).values()]
    return frozenset({way for one in names for way in one.ways} | set(COMMANDS) | set(TESTS))


@cache
def _unused() -> dict[str | Place, str]:
    """Return the reason for each name, and for each section of which nothing is used."""
    found: dict[str | Place, str] = {}
    for entry in UNUSED:
        for name, names in entry.each:
            # A whole section has no form without its name.
            for way in (names.variables[0], names.places[0]) if name == ALL else names.ways:
                found.setdefault(way, entry.reason)
    return found


def _reason(name: str | Place, known: dict[str | Place, str]) -> str:
    if found := known.get(name):
        return found
    if isinstance(name, Place):
        return known.get(Place(name.section, ALL), "")
    return next(
        (reason for each, reason in known.items() if str(each).endswith(ALL) and name.startswith(str(each)[:-1])), ""
    )


def _nearest(name: str | Place) -> str:
    known = (each for each in (*_used(), *_unused()) if type(each) is type(name))
    matches = difflib.get_close_matches(_text(name), sorted({_text(each) for each in known}), n=1, cutoff=ALIKE)
    return next(iter(matches), "")


def _text(name: str | Place) -> str:
    return name if isinstance(name, str) else f"[{name.section}] {name.name}"
