"""What is wrong with an exposure, piece by piece."""

from dataclasses import asdict, dataclass
from typing import Any, Final

from qanat.contract import labels

NAMES: Final = {
    labels.LOCATION: "location file",
    labels.ACCOUNTS: "accounts file",
    labels.REINSURANCE_INFO: "reinsurance info file",
    labels.REINSURANCE_SCOPE: "reinsurance scope file",
}
"""What people call the files."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something that is wrong with an OED file."""

    file: str
    """Its label, which is the name of the portfolio's field."""
    check: str
    """What was checked when it was found."""
    reason: str
    """A sentence that says what is wrong and what to do."""
    row: int | None = None
    """The row as a spreadsheet counts them: the header is row 1, the first record row 2. None: the whole file."""
    column: str | None = None
    value: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return what the report has of it."""
        found = asdict(self)
        return {name: found[name] for name in ("file", "row", "column", "value", "check", "reason")}

    def as_text(self) -> str:
        """Return it on one line."""
        where = [f"The {NAMES.get(self.file, self.file)}"]
        where += [f"row {self.row}"] if self.row is not None else []
        where += [f"column {self.column}"] if self.column is not None else []
        what = f"'{self.value}': {self.reason}" if self.value is not None else self.reason
        return " ".join(f"{', '.join(where)}: {what}".split())
