"""Under which names a setting can be given; fields of ``Settings`` carry them as annotations."""

from dataclasses import dataclass
from typing import Annotated, Final, NamedTuple, TypeAlias, TypeVar

T = TypeVar("T")
DEFAULT_SECTION: Final = "default"
WITHOUT_GLOBAL_FORM: Final = frozenset({"worker.model_data"})
"""Sections whose keys are not read as ``OASIS_<KEY>``."""


class Place(NamedTuple):
    """Where an INI file may say something."""

    section: str
    """In small letters."""
    name: str
    """In capitals."""


@dataclass(frozen=True)
class Key:
    """A key of the reference platform: in a section of its INI file, and in variables with ``OASIS_`` before it."""

    section: str
    name: str = ""
    """In capitals; empty: the field's."""
    in_ini: bool = True
    """Whether the INI file may have it too."""

    @property
    def variables(self) -> tuple[str, ...]:
        """The variables that set it, the more specific one first."""
        specific = f"OASIS_{self.section.replace('.', '_').upper()}_{self.name}"
        return (specific,) if self.section in WITHOUT_GLOBAL_FORM else (specific, f"OASIS_{self.name}")

    @property
    def places(self) -> tuple[Place, ...]:
        """Where the INI file sets it, the more specific one first."""
        return (Place(self.section, self.name), Place(DEFAULT_SECTION, self.name)) if self.in_ini else ()


@dataclass(frozen=True)
class Own:
    """Variables of our own, in place of ``QANAT_`` and the field's name."""

    variables: tuple[str, ...] = ()


@dataclass(frozen=True)
class Bare:
    """Variables without section and prefix, as the reference platform has a few."""

    variables: tuple[str, ...]


@dataclass(frozen=True)
class Hidden:
    """The value is a secret or contains one: it is never printed."""

    address: bool = False
    """Whether it is an address, of which all but the credentials may be printed."""


OfServer: TypeAlias = Annotated[T, Key("server")]
OfWorker: TypeAlias = Annotated[T, Key("worker")]
OfCelery: TypeAlias = Annotated[T, Key("celery")]


@dataclass(frozen=True, kw_only=True)
class Names:
    """All names of one setting."""

    own: tuple[str, ...]
    key: Key | None = None
    bare: tuple[str, ...] = ()

    @property
    def variables(self) -> tuple[str, ...]:
        """All variables, the one that beats the others first."""
        return (*self.own, *(self.key.variables if self.key else ()), *self.bare)

    @property
    def places(self) -> tuple[Place, ...]:
        """All places in the INI file, in the same order; each of them comes after all variables."""
        return self.key.places if self.key else ()

    @property
    def ways(self) -> tuple[str | Place, ...]:
        """All ways to give it, the one that beats the others first."""
        return (*self.variables, *self.places)
