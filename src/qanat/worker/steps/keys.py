"""Keys files as the kernel writes them: counting and putting slices together, without importing the kernel.

A keys file has one row for each location, peril and coverage that found a key; a keys errors file one for each that did not.
The first column of both is the location's id, a whole number. A file without rows may lack its header as well.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qanat.worker.errors import ModelFailed

_EXAMPLES = 5


@dataclass(frozen=True, kw_only=True)
class LookupCounts:
    """How the locations fared: ``locations`` = ``with_keys`` + ``without_keys``."""

    locations: int
    with_keys: int
    without_keys: int
    key_rows: int
    error_rows: int

    def facts(self) -> dict[str, Any]:
        """Return the counts as the step reports them."""
        return {
            "locations": self.locations,
            "keys": self.with_keys,
            "keys_errors": self.without_keys,
            "key_rows": self.key_rows,
            "keys_error_rows": self.error_rows,
        }


def count(*, keys: Path, errors: Path | None, location_ids: frozenset[int]) -> LookupCounts:
    """Count the locations with and without keys.

    Raises:
        ModelFailed: a location has neither keys nor an error, or a row belongs to no location: exposure is never
            dropped silently.
    """
    with_keys, key_rows = _ids(keys)
    in_errors, error_rows = _ids(errors) if errors is not None and errors.is_file() else (set(), 0)
    lost = location_ids - with_keys - in_errors
    if lost:
        message = (
            f"The model's lookup lost {len(lost)} of {len(location_ids)} locations: they have neither keys nor a keys "
            f"error (location ids {_some(lost)}). This is a fault of the model's lookup."
        )
        raise ModelFailed(message)
    strange = (with_keys | in_errors) - location_ids
    if strange:
        message = (
            f"The model's lookup answered for {len(strange)} locations that it was not asked about "
            f"(location ids {_some(strange)}). This is a fault of the model's lookup."
        )
        raise ModelFailed(message)
    return LookupCounts(
        locations=len(location_ids),
        with_keys=len(with_keys),
        without_keys=len(location_ids) - len(with_keys),
        key_rows=key_rows,
        error_rows=error_rows,
    )


def concatenate(parts: Iterable[Path], into: Path) -> None:
    """Put keys files together in order, with one header.

    Raises:
        ModelFailed: the parts have different columns.
    """
    header: bytes | None = None
    with into.open("wb") as target:
        for part in parts:
            with part.open("rb") as source:
                first = source.readline()
                if not first.strip():
                    continue
                if header is None:
                    header = first.rstrip(b"\r\n")
                    target.write(header + b"\n")
                elif first.rstrip(b"\r\n") != header:
                    message = (
                        f"The model's lookup wrote different columns for different slices of the locations: "
                        f"{header.decode(errors='replace')} and {first.decode(errors='replace').strip()}."
                    )
                    raise ModelFailed(message)
                last = b"\n"
                while block := source.read(1 << 20):
                    target.write(block)
                    last = block[-1:]
                if last != b"\n":
                    target.write(b"\n")


def _ids(path: Path) -> tuple[set[int], int]:
    ids: set[int] = set()
    rows = 0
    with path.open("rb") as file:
        file.readline()
        quoted = False
        for line in file:
            # A message may contain line breaks within quotation marks; such lines do not begin a row.
            if not quoted and line.strip():
                rows += 1
                try:
                    ids.add(int(line.split(b",", 1)[0].strip(b'"\r\n ')))
                except ValueError as error:
                    message = f"Row {rows} of {path.name} does not begin with a location id: {line[:80]!r}."
                    raise ModelFailed(message) from error
            quoted ^= bool(line.count(b'"') % 2)
    return ids, rows


def _some(ids: Iterable[int]) -> str:
    first = sorted(ids)
    return ", ".join(str(identifier) for identifier in first[:_EXAMPLES]) + (" ..." if len(first) > _EXAMPLES else "")
