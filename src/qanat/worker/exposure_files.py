"""Names that exposure files have in an attempt's directory: the kernel reads a file by its suffix."""

from pathlib import Path, PurePath
from typing import Final

from qanat.contract import formats

MAGIC: Final = {
    formats.PARQUET: ".parquet",
    formats.GZIP: ".csv.gz",
    formats.ZIP: ".csv.zip",
    formats.BZIP2: ".csv.bz2",
}
BY_NAME: Final = (".parquet", ".csv", ".json", ".txt")
BY_TYPE: Final = {
    "text/csv": ".csv",
    "application/vnd.ms-excel": ".csv",
    "application/octet-stream": ".parquet",
    "application/json": ".json",
}


def suffix(path: Path, *, filename: str, content_type: str) -> str:
    """Return the suffix that fits a file: by its first bytes, else its user's name for it, else its media type."""
    with path.open("rb") as stream:
        head = stream.read(max(map(len, MAGIC)))
    for magic, found in MAGIC.items():
        if head.startswith(magic):
            return found
    named = PurePath(filename).suffix.lower()
    return named if named in BY_NAME else BY_TYPE.get(content_type, ".csv")
