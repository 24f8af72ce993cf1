"""An OED file made from one in another format, by a mapping, through ods-tools."""

import logging
from pathlib import Path
from typing import Final

from ods_tools.odtf.controller import transform_format

from qanat.worker.kernel.port import ExposureRefused

ODTF: Final = "ods_tools.odtf"
MOST_COMPLAINTS: Final = 20


class _Complaints(logging.Handler):
    """What ods-tools logs as errors: it raises none, and leaves half a file."""

    def __init__(self) -> None:
        super().__init__(level=logging.ERROR)
        self.heard: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if len(self.heard) < MOST_COMPLAINTS:
            self.heard.append(" ".join(record.getMessage().split()))


def transform_exposure(*, source: Path, mapping: Path, result: Path) -> int:
    """Write the transformed table; return its number of rows.

    Raises:
        ExposureRefused: the mapping or the source cannot be read, or they do not fit each other.
    """
    complaints = _Complaints()
    logger = logging.getLogger(ODTF)
    logger.addHandler(complaints)
    try:
        transform_format(input_file=str(source), output_file=str(result), mapping_file=str(mapping))
    finally:
        logger.removeHandler(complaints)
    if complaints.heard:
        heard = "; ".join(complaints.heard)
        message = f"The exposure cannot be transformed: {heard}. Correct mapping_file or transform_file."
        raise ExposureRefused(message)
    rows = _rows(result)
    if not rows:
        message = "The mapping makes no rows of the transform_file: see that its columns are those that it names."
        raise ExposureRefused(message)
    return rows


def _rows(path: Path) -> int:
    if not path.is_file():
        return 0
    with path.open("rb") as stream:
        return max(0, sum(1 for line in stream if line.strip()) - 1)
