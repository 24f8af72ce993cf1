"""What the first bytes of a file say of its format, whatever its name says."""

from typing import Final

PARQUET: Final = b"PAR1"
GZIP: Final = b"\x1f\x8b"
ZIP: Final = b"PK\x03\x04"
EMPTY_ZIP: Final = b"PK\x05\x06"
BZIP2: Final = b"BZh"
