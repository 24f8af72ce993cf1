"""Labels of the files that steps read and write.

A label names what a file is for within a run; its name on disk and in storage is another matter. The labels of an
analysis' own files are the field names which clients see, so that recording them needs no mapping.
"""

from typing import Final

# What the user supplied.
LOCATION: Final = "location_file"
ACCOUNTS: Final = "accounts_file"
REINSURANCE_INFO: Final = "reinsurance_info_file"
REINSURANCE_SCOPE: Final = "reinsurance_scope_file"
CURRENCY: Final = "currency_conversion_json"
SETTINGS: Final = "settings_file"
COMPLEX_DATA_PREFIX: Final = "complex_data/"
"""Followed by the user's own file name: complex model data files of the analysis."""

# What input generation gives the analysis.
INPUT: Final = "input_file"
LOOKUP_ERRORS: Final = "lookup_errors_file"
LOOKUP_SUCCESS: Final = "lookup_success_file"
LOOKUP_VALIDATION: Final = "lookup_validation_file"
SUMMARY_LEVELS: Final = "summary_levels_file"
INPUT_TRACEBACK: Final = "input_generation_traceback_file"

# What losses give the analysis.
OUTPUT: Final = "output_file"
RUN_TRACEBACK: Final = "run_traceback_file"
RUN_LOG: Final = "run_log_file"

# What the internal worker reads and gives.
TRANSFORM_SOURCE: Final = "transform_file"
TRANSFORM_MAPPING: Final = "mapping_file"
COMBINED_PREFIX: Final = "combined/"
"""Followed by ``<n>/input_file`` or ``<n>/output_file``: the archives of the n-th analysis to be combined."""
VALIDATION_REPORT: Final = "validation_report"
"""JSON: what was checked, and each error by file, row, column, value, check and reason."""
ERRORS: Final = "errors"
"""Text: what is wrong with the exposure. A validation that found nothing gives none."""
EXPOSURE_RUN: Final = "exposure_run_file"
TRANSFORMED: Final = "transformed_file"

# What steps hand to later steps of the same run.
PREPARED_EXPOSURE: Final = "prepared_exposure"
"""tar of the OED files after the model's pre-analysis hook; written also when the model has none (then empty)."""
EXPOSURE_SLICE: Final = "exposure_slice"
"""parquet of one slice of the locations, read, checked and numbered; labelled ``exposure_slice-<index>``. A run whose
keys are looked up in one chunk has none."""
KEYS_CHUNK: Final = "keys"
"""tar of keys and keys errors of one slice of the locations; labelled ``keys-<index>``."""
KEYS: Final = "keys_data"
"""tar of the keys and keys errors of all locations."""
RUN_DIRECTORY: Final = "run_directory"
"""tar of the run directory as the kernel's directory step left it, with the settings it wrote."""
WORK_CHUNK: Final = "work"
"""tar of the kernel's work files of one loss chunk; labelled ``work-<index>``."""
LOG_CHUNK: Final = "log"
"""tar of the kernel's logs of one loss chunk; labelled ``log-<index>``."""

# What every step may leave behind.
STEP_LOG: Final = "log_text"


def chunk(label: str, index: int) -> str:
    """Return the label of the ``index``-th part (from 0) of something made in parallel."""
    return f"{label}-{index}"
