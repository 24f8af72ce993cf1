"""What every step is given, and the small things that most steps do: settings, exposure files, outputs."""

import json
import re
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from qanat.contract import labels
from qanat.worker import archives
from qanat.worker.errors import InputRejected
from qanat.worker.identity import ModelDirectory
from qanat.worker.job import Job, MadeFile
from qanat.worker.kernel.port import Exposure, Kernel

GZIP: Final = "application/gzip"
CSV: Final = "text/csv"
JSON: Final = "application/json"
TEXT: Final = "text/plain"

EXPOSURE_PARAMETERS: Final = {
    labels.LOCATION: "oed_location_csv",
    labels.ACCOUNTS: "oed_accounts_csv",
    labels.REINSURANCE_INFO: "oed_info_csv",
    labels.REINSURANCE_SCOPE: "oed_scope_csv",
}
OUTPUT_PERSPECTIVES: Final = ("gul_output", "il_output", "ri_output", "rl_output")

_WORD = re.compile(r"[A-Za-z0-9_-]{1,40}")
_NUMBERS: Final = (
    "number_of_samples",
    "gul_threshold",
    "pla_secondary_factor",
    "pla_uniform_factor",
)


@dataclass(kw_only=True)
class Workbench:
    """A step's job, its model, the kernel once it is needed, and what the step has made so far."""

    job: Job
    model: ModelDirectory
    make_kernel: Callable[[], Kernel]
    """Imports the kernel, which takes seconds: steps that can do without never call it."""
    made: dict[str, MadeFile] = field(default_factory=dict)

    @cached_property
    def kernel(self) -> Kernel:
        """Return the kernel for this model."""
        return self.make_kernel()

    # --- inputs ---------------------------------------------------------------------------------------------------

    def exposure(self) -> Exposure:
        """Return the portfolio's files.

        Raises:
            InputRejected: the analysis has neither locations nor accounts, or a file is empty.
        """
        files = {
            parameter: path
            for label, parameter in EXPOSURE_PARAMETERS.items()
            if (path := self.job.given(label)) is not None
        }
        if "oed_location_csv" not in files and "oed_accounts_csv" not in files:
            message = "The portfolio has no location file. Add one and generate the inputs again."
            raise InputRejected(message)
        for label in EXPOSURE_PARAMETERS:
            given = self.job.inputs.get(label)
            if given is not None and given.path.stat().st_size == 0:
                message = f"The {label.replace('_', ' ')} '{given.filename}' is empty. Upload it again."
                raise InputRejected(message)
        currency = self.job.parameters.get("reporting_currency") or None
        return Exposure(
            files=files, reporting_currency=currency, currency_conversion=self.job.given(labels.CURRENCY)
        )

    def settings(self, *, required: bool) -> Path | None:
        """Return the analysis settings as a file called ``analysis_settings.json``, after checking them.

        Raises:
            InputRejected: they are missing, are not JSON, or hold what must not reach the kernel's run script.
        """
        path = self.job.given(labels.SETTINGS)
        if path is None:
            if required:
                message = "The analysis has no settings. Upload analysis settings and run it again."
                raise InputRejected(message)
            return None
        check_settings(path)
        return path

    # --- outputs --------------------------------------------------------------------------------------------------

    def hand_on(self, label: str, path: Path, *, filename: str, content_type: str) -> None:
        """Make an existing file an output of the step."""
        self.made[label] = MadeFile(path=path, filename=filename, content_type=content_type)

    def hand_on_archive(self, label: str, members: Iterable[tuple[str, Path]], *, filename: str) -> None:
        """Pack ``members`` (name, path) into an output."""
        path = self.job.out / filename
        archives.pack(members, path)
        self.hand_on(label, path, filename=filename, content_type=GZIP)

    def hand_on_log(self, label: str, *, filename: str) -> None:
        """Make a copy of the log as it is now an output of the step."""
        path = self.job.out / filename
        if self.job.log.is_file():
            shutil.copyfile(self.job.log, path)
        else:
            path.write_text("", encoding="utf-8")
        self.hand_on(label, path, filename=filename, content_type=TEXT)


def check_settings(path: Path) -> dict[str, Any]:
    """Return analysis settings; refuse what is not JSON, and values that the kernel would copy into a shell script.

    Raises:
        InputRejected: with the place and the reason.
    """
    try:
        settings = json.loads(path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError as error:
        message = f"The analysis settings are not UTF-8 text: {error}."
        raise InputRejected(message) from error
    except json.JSONDecodeError as error:
        message = f"The analysis settings are not valid JSON: line {error.lineno}, column {error.colno}: {error.msg}."
        raise InputRejected(message) from error
    if not isinstance(settings, dict):
        message = f"The analysis settings must be a JSON object, not {type(settings).__name__}."
        raise InputRejected(message)
    for name in _NUMBERS:
        value = settings.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            message = f"'{name}' in the analysis settings must be a number, not {value!r}."
            raise InputRejected(message)
    perils = settings.get("peril_filter")
    if perils is not None and not (isinstance(perils, list) and all(_is_word(peril) for peril in perils)):
        message = f"'peril_filter' in the analysis settings must be a list of peril codes, not {perils!r}."
        raise InputRejected(message)
    for name in ("model_supplier_id", "model_name_id"):
        if settings.get(name) is not None and not isinstance(settings[name], str):
            message = f"'{name}' in the analysis settings must be text, not {settings[name]!r}."
            raise InputRejected(message)
    for perspective in OUTPUT_PERSPECTIVES:
        _check_summaries(settings, perspective.replace("_output", "_summaries"))
    return settings


def _check_summaries(settings: Mapping[str, Any], name: str) -> None:
    summaries = settings.get(name)
    if summaries is None:
        return
    if not (isinstance(summaries, list) and all(isinstance(summary, dict) for summary in summaries)):
        message = f"'{name}' in the analysis settings must be a list of objects."
        raise InputRejected(message)
    for summary in summaries:
        identifier = summary.get("id")
        if isinstance(identifier, bool) or not isinstance(identifier, int):
            message = f"Each of '{name}' in the analysis settings needs an 'id' that is a whole number, not {identifier!r}."
            raise InputRejected(message)


def _is_word(value: object) -> bool:
    return isinstance(value, str) and _WORD.fullmatch(value) is not None
