"""Says which cell of an OED file the kernel stumbled over: its own error names neither file nor row nor column."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import pandas as pd
from ods_tools.oed import OedSchema

from qanat.contract import labels
from qanat.worker.kernel.findings import Finding

FILES: Final = {
    labels.LOCATION: "Loc",
    labels.ACCOUNTS: "Acc",
    labels.REINSURANCE_INFO: "ReinsInfo",
    labels.REINSURANCE_SCOPE: "ReinsScope",
}
"""Names of the files in the OED schema."""
NUMBERS: Final = ("float", "int", "Int")
FIRST_ROW: Final = 2
"""The line of a CSV file on which its first record stands."""
NOT_A_NUMBER: Final = "it is not a number: correct it and upload the file again."
MOST_MISFITS: Final = 1000
"""That are listed of one file."""


def misfit(exposure: Mapping[str, Path]) -> str | None:
    """Return a sentence on the first cell that should be a number and is none; None where all are.

    Args:
        exposure: OED files by label. Parquet files have typed columns and are left out.
    """
    for label, path in exposure.items():
        for found in misfits(label, path):
            what = label.removesuffix("_file").replace("_", " ")
            return (
                f"The {what} file, line {found.row}, column {found.column}: '{found.value}' is not a number. Correct "
                "it and upload the file again."
            )
    return None


def misfits(label: str, path: Path) -> Iterator[Finding]:
    """Yield the cells of a CSV file, plain or packed, that should be numbers and are none, column by column."""
    if label not in FILES or path.suffix == ".parquet":
        return
    fields = OedSchema.from_oed_schema_info(None).schema["input_fields"]
    table = pd.read_csv(path, dtype=str, encoding="utf-8-sig", on_bad_lines="skip")
    listed = 0
    for column in table:
        field = fields[FILES[label]].get(str(column).lower())
        if field is None or not str(field["pd_dtype"]).startswith(NUMBERS):
            continue
        given = table[column].dropna()
        wrong = given[pd.to_numeric(given, errors="coerce").isna()]
        for record, value in wrong.head(MOST_MISFITS - listed).items():
            yield Finding(
                file=label,
                check="number",
                row=int(record) + FIRST_ROW,
                column=str(column),
                value=str(value),
                reason=NOT_A_NUMBER,
            )
        listed += len(wrong)
        if listed >= MOST_MISFITS:
            return
