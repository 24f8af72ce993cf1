"""Where values come from: the environment and an INI file, in the order of the reference platform.

From what beats to what is beaten: ``QANAT_<NAME>``, ``OASIS_<SECTION>_<KEY>`` (dots are underscores), ``OASIS_<KEY>``,
the section of the INI file, its section ``default``, and what the code has. Names are the same in capitals and small
letters. The INI file is the one that ``OASIS_INI_PATH`` names.
"""

import configparser
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from qanat.configuration.names import Names, Place

INI_PATH: Final = "OASIS_INI_PATH"
PREFIXES: Final = ("QANAT_", "OASIS_")
SERVICE: Final = re.compile(r"\w+_SERVICE_(HOST|PORT(_\w+)?)|\w+_PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?")
SERVICE_PORT: Final = re.compile(r"(tcp|udp|sctp)://.*")


class BadSettings(Exception):
    """A setting is wrong; the message says which, why, and what to do."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """A value, and who said so."""

    value: str
    origin: str
    """The variable, or the place in the INI file."""


@dataclass(frozen=True, kw_only=True)
class Sources:
    """The variables with our prefixes and all others, and what the INI file says."""

    environment: Mapping[str, str] = field(default_factory=dict)
    """By names in capitals."""
    ini: Mapping[Place, str] = field(default_factory=dict)
    ini_path: Path | None = None

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> "Sources":
        """Read the environment, and the INI file that it names.

        Raises:
            BadSettings: the INI file is not there, or is none.
        """
        capitals = {name.upper(): value for name, value in environment.items() if name != name.upper()}
        capitals |= {name: value for name, value in environment.items() if name == name.upper()}
        given = {name: value for name, value in capitals.items() if not _is_of_kubernetes(name, value)}
        if not given.get(INI_PATH):
            return cls(environment=given)
        path = Path(given[INI_PATH])
        return cls(environment=given, ini=_read_ini(path), ini_path=path)

    def find(self, names: Names) -> Found | None:
        """Return the value that beats all others, or None where only the code's own is left."""
        for variable in names.variables:
            if variable in self.environment:
                return Found(value=self.environment[variable], origin=variable)
        for place in names.places:
            if place in self.ini:
                return Found(value=self.ini[place], origin=self.describe(place))
        return None

    def describe(self, place: Place) -> str:
        """Say where a key stands in the INI file."""
        return f"[{place.section}] {place.name} in {self.ini_path}"

    @property
    def variables(self) -> list[str]:
        """The variables that are meant for this platform, in their order."""
        return sorted(name for name in self.environment if name.startswith(PREFIXES))


def _is_of_kubernetes(name: str, value: str) -> bool:
    """Say whether Kubernetes has set a variable, as it does for each service: one named oasis-server, for example."""
    if not name.startswith(PREFIXES):
        return False
    return bool(SERVICE.fullmatch(name)) or (name.endswith("_PORT") and bool(SERVICE_PORT.fullmatch(value)))


def _read_ini(path: Path) -> dict[Place, str]:
    # No section fills in for the others by itself, and a % in a password is a %.
    parser = configparser.ConfigParser(default_section="", interpolation=None, allow_no_value=True)
    try:
        parser.read_string(path.read_text(encoding="utf-8-sig"), source=str(path))
    except OSError as error:
        message = f"{INI_PATH} names {path}, which cannot be read ({error.strerror}): correct or unset it."
        raise BadSettings(message) from None
    except (configparser.Error, UnicodeDecodeError) as error:
        message = f"{path}, which {INI_PATH} names, is no INI file: {' '.join(str(error).split())}"
        raise BadSettings(message) from None
    found: dict[Place, str] = {}
    for section in parser.sections():
        for name, value in parser[section].items():
            found.setdefault(Place(section.lower(), name.upper()), value or "")
    return found
