"""Says which cell of an OED file the kernel stumbled over: its own error names neither file nor row nor column."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pandas as pd
from ods_tools.oed import OedSchema

from qanat.contract import labels

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


def misfit(exposure: Mapping[str, Path]) -> str | None:
    """Return a sentence on the first cell that should be a number and is none; None where all are.

    Args:
        exposure: OED files by label. Parquet files have typed columns and are left out.
    """
    fields = OedSchema.from_oed_schema_info(None).schema["input_fields"]
    for label, path in exposure.items():
        if label not in FILES or path.suffix == ".parquet":
            continue
        table = pd.read_csv(path, dtype=str, encoding="utf-8-sig", on_bad_lines="skip")
        for column in table:
            field = fields[FILES[label]].get(str(column).lower())
            if field is None or not str(field["pd_dtype"]).startswith(NUMBERS):
                continue
            given = table[column].dropna()
            wrong = given[pd.to_numeric(given, errors="coerce").isna()]
            if not wrong.empty:
                what = label.removesuffix("_file").replace("_", " ")
                return (
                    f"The {what} file, line {wrong.index[0] + FIRST_ROW}, column {column}: '{wrong.iloc[0]}' is not a "
                    "number. Correct it and upload the file again."
                )
    return None
