"""PROCESS that turns one OED file into another format: ``python -m qanat.server.files.oed_conversion``.

It reads somebody's file with a reader that holds all of it, so it is a process of its own: bounded in memory and time,
without secrets in its environment, and gone afterwards.
"""

import resource
import sys
from pathlib import Path
from typing import Final

READERS: Final = ("location", "account", "ri_info", "ri_scope")
UNREADABLE: Final = 3
TOO_LARGE: Final = 4


def convert(*, source: Path, target: Path, reader: str) -> None:
    """Read an OED file, typed by the schema, and write it in the format of the target's suffix."""
    from ods_tools.oed import OedExposure  # noqa: PLC0415 - seconds, and only after memory is bounded

    frame = getattr(OedExposure(**{reader: str(source)}), reader).dataframe
    if target.suffix == ".parquet":
        frame.to_parquet(target, index=False)
    else:
        frame.to_csv(target, index=False)


def main(source: str, target: str, reader: str, memory: str) -> int:
    """Convert and return the exit code; what was wrong stands on standard error."""
    if reader not in READERS:
        print(f"'{reader}' is none of {READERS}", file=sys.stderr)  # noqa: T201 - whoever started it reads this
        return 2
    resource.setrlimit(resource.RLIMIT_AS, (int(memory), int(memory)))
    try:
        convert(source=Path(source), target=Path(target), reader=reader)
    except MemoryError:
        return TOO_LARGE
    except Exception as error:  # noqa: BLE001 - the outermost of the process; the reader raises whatever it meets
        causes = [error]
        while (cause := causes[-1].__cause__) is not None:
            causes.append(cause)  # type: ignore[arg-type]
        print("; ".join(str(cause) or type(cause).__name__ for cause in causes), file=sys.stderr)  # noqa: T201
        return TOO_LARGE if any(isinstance(cause, MemoryError) for cause in causes) else UNREADABLE
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
