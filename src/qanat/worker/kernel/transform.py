"""An OED file made from one in another format, by a mapping, through ods-tools."""

import logging
import re
from pathlib import Path
from typing import Any, Final

import yaml
from ods_tools.odtf.controller import transform_format

from qanat.worker.kernel.port import ExposureRefused

ODTF: Final = "ods_tools.odtf"
SECTIONS: Final = {"transform": dict, "types": dict, "null_values": list}
"""What a mapping must have, and as what."""
MOST_COMPLAINTS: Final = 20
NOT_FOR_USERS: Final = re.compile(r"^Error processing batch:\s*|, line \d+ in \S+$|\.? Row: \{.*$", re.DOTALL)
"""Parts of what ods-tools logs: where in its own code it was, and whole rows of the exposure."""
CELL_REFUSED: Final = "Cannot coerce"
"""How its warning begins of a cell that is not of the type that the mapping says, before an error without a word."""


class _Complaints(logging.Handler):
    """What ods-tools logs when it cannot go on: it raises nothing, and leaves half a file."""

    def __init__(self) -> None:
        super().__init__(level=logging.WARNING)
        self.heard: list[str] = []
        self.failed = False

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        is_error = record.levelno >= logging.ERROR
        self.failed = self.failed or is_error
        said = " ".join(NOT_FOR_USERS.sub("", text).split())
        if (
            said
            and said not in self.heard
            and (is_error or text.startswith(CELL_REFUSED))
            and len(self.heard) < MOST_COMPLAINTS
        ):
            self.heard.append(said)


def transform_exposure(*, source: Path, mapping: Path, result: Path) -> int:
    """Write the transformed table; return its number of rows.

    Raises:
        ExposureRefused: the mapping or the source cannot be read, or they do not fit each other.
    """
    _require_mapping(mapping)
    complaints = _Complaints()
    logger = logging.getLogger(ODTF)
    logger.addHandler(complaints)
    try:
        transform_format(input_file=str(source), output_file=str(result), mapping_file=str(mapping))
    finally:
        logger.removeHandler(complaints)
    if complaints.failed:
        heard = "; ".join(complaints.heard) or "ods-tools does not say why"
        message = f"The exposure cannot be transformed ({heard}): correct mapping_file or transform_file."
        raise ExposureRefused(message)
    rows = _rows(result)
    if not rows:
        message = "The mapping makes no rows of the transform_file: see that its columns are those that it names."
        raise ExposureRefused(message)
    return rows


def _require_mapping(path: Path) -> None:
    """Refuse what ods-tools would stumble over without saying where.

    Raises:
        ExposureRefused: it is no YAML, or lacks a section.
    """
    try:
        document: Any = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        message = f"The mapping_file is not YAML ({' '.join(str(error).split())}): correct it."
        raise ExposureRefused(message) from error
    for section, kind in SECTIONS.items():
        if not isinstance(document, dict) or not isinstance(document.get(section), kind):
            what = "a list" if kind is list else "a mapping"
            message = (
                f"The mapping_file has no section '{section}' that is {what}: it needs {', '.join(SECTIONS)}, as in "
                "the examples of ods-tools."
            )
            raise ExposureRefused(message)


def _rows(path: Path) -> int:
    if not path.is_file():
        return 0
    with path.open("rb") as stream:
        return max(0, sum(1 for line in stream if line.strip()) - 1)
