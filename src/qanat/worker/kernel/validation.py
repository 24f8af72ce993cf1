"""Validation of an exposure: ods-tools judges, and this module says of each error where it is.

ods-tools reports a check's bad rows as a printed table, whose first column is the number of the record; from there come
row and value. Nothing depends on reading it: an error that cannot be placed is one of the whole file.
"""

import logging
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import pandas as pd
from ods_tools.oed import OdsException, OedExposure
from ods_tools.oed.common import ClassOfBusiness
from ods_tools.oed.validator import Validator

from qanat.contract import labels
from qanat.worker.kernel import oed_files, oed_values
from qanat.worker.kernel.findings import Finding
from qanat.worker.kernel.oed_files import OedFile

logger = logging.getLogger(__name__)

CHECKS: Final = (
    "required_fields",
    "unknown_column",
    "valid_values",
    "perils",
    "occupancy_code",
    "construction_code",
    "country_and_area_code",
)
"""What is checked (wire contract, section 1.4)."""
PARAMETERS: Final = {
    labels.LOCATION: "location",
    labels.ACCOUNTS: "account",
    labels.REINSURANCE_INFO: "ri_info",
    labels.REINSURANCE_SCOPE: "ri_scope",
}
"""What ods-tools calls the files, as parameters and in its reports."""
LABELS: Final = {name: label for label, name in PARAMETERS.items()}
FIRST_ROW: Final = 2
MOST_OF_ONE_KIND: Final = 1000
"""Bad rows that are listed of a file, check and column; how many more there are is said."""
WHOLE_COLUMN: Final = re.compile(r"missing required column (?P<column>.+)")
COLUMN: Final = re.compile(
    r"column '(?P<quoted>[^']+)'|(?P<perils>\S+) has invalid perils"
    r"|invalid (?P<code>OccupancyCode|ConstructionCode|CountryCode)(?P<pair> AreaCode pair)?"
)
BAD_ROW: Final = re.compile(r"^(?P<record>\d+)\s", re.MULTILINE)
CUT_SHORT: Final = re.compile(r"\[(?P<rows>\d+) rows x \d+ columns\]\s*$")
REASONS: Final[dict[str, str]] = {
    "required_fields": "a value is required here: fill it in.",
    "valid_values": "it is not among the values that OED allows here: correct it.",
    "perils": "it is no peril of OED: use its codes, several with ';' between them.",
    "occupancy_code": "it is no occupancy code of OED: correct it.",
    "construction_code": "it is no construction code of OED: correct it.",
    "country_and_area_code": "it is no country code of OED (ISO 3166), or no area of the country: correct it.",
}
OPTIONS: Final = (
    ("display.max_rows", MOST_OF_ONE_KIND),
    ("display.min_rows", MOST_OF_ONE_KIND),
    ("display.max_columns", None),
    ("display.expand_frame_repr", False),
    # ods-tools writes to a copy of bad rows, and means to.
    ("mode.chained_assignment", None),
)


@dataclass(kw_only=True)
class Report:
    """What a validation has found."""

    files: list[OedFile]
    unread: set[str] = field(default_factory=set)
    """Labels of files that could not be read, and so were not checked further."""
    findings: list[Finding] = field(default_factory=list)
    more: int = 0
    """Bad rows that are not listed, for being too many of one kind."""
    schema: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the report that programs read."""
        return {
            "valid": not self.findings,
            "oed_schema": self.schema,
            "checks": list(CHECKS),
            "files": [
                {"file": file.label, "rows": file.rows, "checked": file.label not in self.unread} for file in self.files
            ],
            "total": len(self.findings) + self.more,
            "errors": [finding.as_json() for finding in self.findings],
        }

    def as_text(self) -> str:
        """Return the report that people read."""
        lines = [finding.as_text() for finding in self.findings]
        if self.more:
            lines.append(f"There are {self.more} more rows like these.")
        unread = [file.label for file in self.files if file.label in self.unread]
        if unread:
            lines.append(f"Not checked further, for it cannot be read as it is: {', '.join(unread)}.")
        return "\n".join(lines) + "\n"


def validate(exposure: Mapping[str, Path], *, work: Path) -> Report:
    """Check OED files.

    Args:
        exposure: files by label, packed or not.
        work: an empty folder for what is unpacked.
    """
    files = [oed_files.look_at(label, path, work=work) for label, path in exposure.items()]
    report = Report(files=files)
    for file in files:
        findings = list(file.findings) or list(oed_values.misfits(file.label, file.path))
        report.findings += findings
        if findings:
            report.unread.add(file.label)
    readable = {file.label: file for file in files if file.label not in report.unread}
    with pd.option_context(*[part for option in OPTIONS for part in option]):
        while readable:
            try:
                _check(readable, report)
                break
            except _Unreadable as unreadable:
                report.findings.append(unreadable.finding)
                report.unread.add(unreadable.finding.file)
                del readable[unreadable.finding.file]
    return report


class _Unreadable(Exception):
    """ods-tools cannot read a file."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.reason)
        self.finding = finding


def _check(readable: Mapping[str, OedFile], report: Report) -> None:
    exposure = _reading(
        readable, lambda: OedExposure(**{PARAMETERS[label]: file.path for label, file in readable.items()})
    )
    for source in exposure.get_oed_sources():
        label = LABELS[source.oed_name]
        _reading({label: readable[label]}, partial(getattr, source, "dataframe"))
    try:
        exposure.class_of_business = exposure.get_class_of_business()
    except OdsException as undecided:
        # It lacks columns that any class requires: the checks say which, as for property.
        logger.info("The class of business is taken for property: %s", undecided)
        exposure.class_of_business = ClassOfBusiness.prop
    validator = _reading(readable, lambda: Validator(exposure))
    tables = {source.oed_name: source.dataframe for source in exposure.get_oed_sources()}
    report.schema = str(exposure.oed_schema.schema.get("version", ""))
    for check in CHECKS:
        for found in validator([{"name": check, "on_error": "return"}]):
            findings, more = _placed(check, found, tables[found["name"]])
            report.findings += findings
            report.more += more


def _reading(files: Mapping[str, OedFile], read: Callable[[], Any]) -> Any:  # noqa: ANN401 - ods-tools has no types
    """Return what ``read`` does; say of which file it could not be done."""
    try:
        return read()
    except (OdsException, ValueError, TypeError, KeyError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        text = " ".join(str(error).split())
        named = [label for label in files if f"Oed file {PARAMETERS[label]}," in text]
        label = (named or list(files))[0]
        reason = f"it cannot be read as OED ({text}): correct it and upload it again."
        raise _Unreadable(Finding(file=label, check="readable", reason=reason)) from error


def _placed(check: str, found: Mapping[str, Any], table: pd.DataFrame) -> tuple[list[Finding], int]:
    """Return what a check has found, row by row where it names rows, and how many rows are not listed."""
    label, text = LABELS[found["name"]], str(found["msg"])
    if whole := WHOLE_COLUMN.search(text):
        reason = "this column is required: add it."
        return [Finding(file=label, check=check, column=whole["column"].strip(), reason=reason)], 0
    column = _column(text)
    if check == "unknown_column" and column is not None:
        reason = f"'{column}' is no field of OED: rename the column, or call it Flexi{oed_values.FILES[label]}{column}."
        return [Finding(file=label, check=check, column=column, reason=reason)], 0
    records = [record for match in BAD_ROW.finditer(text) if (record := int(match["record"])) in table.index]
    if not records or column is None or column not in table.columns:
        return [Finding(file=label, check=check, reason=" ".join(text.split()))], 0
    cut = CUT_SHORT.search(text)
    findings = [
        Finding(
            file=label,
            check=check,
            row=record + FIRST_ROW,
            column=column,
            value=value,
            reason=REASONS.get(check, " ".join(text.splitlines()[0].split())),
        )
        for record, value in zip(records, _values(table, records, _columns(text, column)), strict=True)
    ]
    return findings, max(0, int(cut["rows"]) - len(records)) if cut else 0


def _column(text: str) -> str | None:
    found = COLUMN.search(text)
    return None if found is None else found["quoted"] or found["perils"] or found["code"]


def _columns(text: str, column: str) -> list[str]:
    found = COLUMN.search(text)
    return [column, "AreaCode"] if found is not None and found["pair"] else [column]


def _values(table: pd.DataFrame, records: list[int], columns: list[str]) -> Iterator[str]:
    shown = [name for name in columns if name in table.columns]
    for row in table.loc[records, shown].itertuples(index=False):
        yield ", ".join("" if pd.isna(value) else str(value) for value in row)
