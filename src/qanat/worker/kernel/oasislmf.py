"""The kernel through its public Python API; the only module that imports it."""

import json
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from subprocess import CalledProcessError
from typing import Any, Final

import pandas as pd
from oasislmf.manager import OasisManager
from oasislmf.utils.data import DEFAULT_ADDITIONAL_FIELDS, get_exposure_data, prepare_oed_exposure
from oasislmf.utils.defaults import SAR_ID
from oasislmf.utils.exceptions import OasisException, OasisExceptionNoKeys
from oasislmf.utils.inputs import update_config
from ods_tools.oed import OdsException, OedExposure

from qanat.contract import labels
from qanat.worker.identity import ModelIdentity
from qanat.worker.kernel import event_order, keys_order, numba_cache, oed_values, run_scripts
from qanat.worker.kernel.port import (
    INPUTS,
    WORK,
    ExposureRefused,
    InputsJob,
    KernelError,
    LossesJob,
    NoKeys,
    ProcessLost,
)

logger = logging.getLogger(__name__)

EXPOSURE_PARAMETERS: Final = {
    labels.LOCATION: "oed_location_csv",
    labels.ACCOUNTS: "oed_accounts_csv",
    labels.REINSURANCE_INFO: "oed_info_csv",
    labels.REINSURANCE_SCOPE: "oed_scope_csv",
}
EXPOSURE_CONFIG: Final = OedExposure.DEFAULT_EXPOSURE_CONFIG_NAME
RUNNER: Final = "supplier_model_runner.py"
"""In the package of a model: how it does its losses, in place of the kernel."""
ONE_SCRIPT: Final = ("model_custom_gulcalc_log_start", "model_custom_gulcalc_log_finish", "model_py_server")
"""Of a model's configuration: what the logs of its own loss tool must say, and a server beside the tools."""
SETTINGS_WRITTEN: Final = Path("output") / "analysis_settings.json"
"""Where the directory step leaves the settings with all defaults filled in, relative to the run directory."""
MONITOR_EVERY_SECONDS: Final = 600.0
"""The kernel's resource monitor looks at every process of the host, once a second: 7 to 13 CPU-seconds a run.
The supervisor watches this run alone."""
UNREADABLE: Final = ("Failed to load OED exposure", 'Invalid "oed_fields"', "location/account", "Currency")


class ExposureSlice:
    """Locations that have been read before, as the kernel's lookup sees exposure: of all sources it looks at theirs."""

    account = ri_info = ri_scope = location = None
    """What the kernel would complete after reading; these locations are complete."""

    def __init__(self, locations: pd.DataFrame) -> None:
        """Show these locations."""
        self.dataframe = locations

    def get_subject_at_risk_source(self) -> "ExposureSlice":
        """Return the source of the locations."""
        return self


class OasisKernel:
    """The kernel for one model; see ``port.Kernel``."""

    def __init__(self, model: ModelIdentity, *, log_level: str = "info") -> None:
        """Resolve the model's configuration against its folder."""
        self._model = model
        self._parameters = self._resolved(model)
        # How many processes to run is the job's to say; it heeds what the model's configuration says of it.
        self._parameters.pop("kernel_num_processes", None)
        self._manager = OasisManager()
        self._exposure_read: tuple[InputsJob, Any] | None = None
        numba_cache.settle()
        run_scripts.settle()
        # With a level of its own the kernel does not spell out every table that its functions are given, unheard.
        logging.getLogger("oasislmf").setLevel(log_level.upper())

    @property
    def has_pre_analysis(self) -> bool:
        """Whether the configuration names a hook."""
        return bool(self._parameters.get("exposure_pre_analysis_module"))

    @property
    def _wants_one_script(self) -> bool:
        """Whether the model changes what the kernel's script does, in ways that its scripts of chunks do not know."""
        package = self._parameters.get("model_package_dir")
        has_runner = package is not None and Path(package, RUNNER).exists()
        return has_runner or any(map(self._parameters.get, ONE_SCRIPT))

    @property
    def model_data(self) -> Path | None:
        """The directory that the configuration names, if it does."""
        named = self._parameters.get("model_data_dir")
        return Path(named) if named else None

    def pre_analysis(self, job: InputsJob, *, target: Path) -> None:
        """Run ``exposure_pre_analysis`` and save what it made of the exposure."""
        with kernel_errors(job.exposure):
            exposure = self._read(job)
            self._manager.exposure_pre_analysis(**self._inputs(job), exposure_data=exposure)
            target.mkdir(parents=True, exist_ok=True)
            exposure.save(path=target, version_name="", compression="parquet", save_config=True)

    def slice_exposure(self, job: InputsJob, *, targets: Sequence[Path]) -> None:
        """Share the locations out; a location's rows stay together, and its id is that of the whole file."""
        with kernel_errors(job.exposure):
            locations = self._exposure(job).get_subject_at_risk_source().dataframe
            ids = pd.unique(locations[SAR_ID])
            for index, target in enumerate(targets):
                share = ids[len(ids) * index // len(targets) : len(ids) * (index + 1) // len(targets)]
                locations[locations[SAR_ID].isin(share)].reset_index(drop=True).to_parquet(target)

    def keys(self, job: InputsJob, *, keys: Path, errors: Path, locations: Path | None = None) -> int:
        """Run ``generate_keys``, on a slice if one is given."""
        with kernel_errors(job.exposure):
            exposure = self._exposure(job) if locations is None else ExposureSlice(pd.read_parquet(locations))
            self._manager.generate_keys(
                **self._inputs(job),
                exposure_data=exposure,
                keys_data_path=str(keys),
                keys_errors_path=str(errors),
                keys_format="oasis",
            )
            return int(exposure.get_subject_at_risk_source().dataframe[SAR_ID].nunique())

    def write_inputs(self, job: InputsJob, *, keys: Path, errors: Path) -> None:
        """Run ``generate_files`` on the keys of all slices, and the model's hook after it."""
        with kernel_errors(job.exposure):
            keys_order.settle(keys)
            given = {**self._inputs(job), "keys_data_path": str(keys), "keys_errors_path": str(errors)}
            self._manager.generate_files(**given, exposure_data=self._exposure(job))
            if self._parameters.get("post_file_gen_module"):
                self._manager.post_file_gen(**given)

    def losses(self, job: LossesJob) -> None:
        """Do as for one chunk; or run ``generate_oasis_losses``, hooks included, where a model needs it."""
        if not self._wants_one_script:
            self.losses_directory(job)
            self.losses_chunk(job, index=0, count=1)
            self.losses_output(job)
            return
        with _script_errors(job):
            self._manager.generate_oasis_losses(**self._losses(job), kernel_num_processes=job.processes)

    def losses_directory(self, job: LossesJob) -> None:
        """Run ``generate_losses_dir``, and the model's hook before it."""
        with kernel_errors():
            given = self._losses(job)
            if self._parameters.get("pre_loss_module"):
                self._manager.pre_loss(**given)
            self._manager.generate_losses_dir(**given)

    def losses_chunk(self, job: LossesJob, *, index: int, count: int) -> None:
        """Run ``generate_losses_partial``: one process of ``count``, or all in one script where there is one chunk."""
        processes = count if count > 1 else job.processes
        with _script_errors(job):
            self._manager.generate_losses_partial(
                **self._losses(job),
                process_number=index + 1 if count > 1 else None,
                # Both: the kernel takes the number of cores for the one that is left out.
                max_process_id=processes,
                kernel_num_processes=processes,
            )

    def losses_output(self, job: LossesJob) -> None:
        """Run ``generate_losses_output``, and the model's hook after it."""
        with _script_errors(job):
            event_order.settle(job.run_directory / WORK)
            given = self._losses(job)
            self._manager.generate_losses_output(
                **given, kernel_num_processes=job.processes, max_process_id=job.processes
            )
            if self._parameters.get("post_analysis_module"):
                self._manager.post_analysis(**given)

    @staticmethod
    def _resolved(model: ModelIdentity) -> dict[str, Any]:
        """Return the configuration with the paths in it made absolute."""
        base = model.config_path.parent
        parameters: dict[str, Any] = {}
        for name, value in model.config.items():
            is_path = isinstance(value, str) and name.endswith(("_json", "_dir", "_path", "_csv", "_module"))
            parameters[name] = str((base / value).resolve()) if is_path else value
        if model.settings_path is not None:
            parameters["model_settings_json"] = str(model.settings_path.resolve())
        # Models still use names that the kernel has since changed, such as ktools_alloc_rule_gul.
        current: dict[str, Any] = update_config(parameters)
        return current

    def _inputs(self, job: InputsJob) -> dict[str, Any]:
        given = {EXPOSURE_PARAMETERS[label]: str(path) for label, path in job.exposure.items()}
        return {
            **self._parameters,
            **given,
            "oasis_files_dir": str(job.directory),
            **_present(
                analysis_settings_json=job.settings,
                currency_conversion_json=job.currency,
                reporting_currency=job.reporting_currency,
                user_data_dir=job.user_data,
                lookup_complex_config_json=job.settings if self._parameters.get("lookup_module_path") else None,
            ),
        }

    def _exposure(self, job: InputsJob) -> Any:  # noqa: ANN401 - ods-tools has no types
        """Return the exposure; the keys and the files of one job share what was read once."""
        if self._exposure_read is None or self._exposure_read[0] != job:
            self._exposure_read = (job, self._read(job))
        return self._exposure_read[1]

    def _read(self, job: InputsJob) -> Any:  # noqa: ANN401 - ods-tools has no types
        """Read the exposure and number its locations as the kernel does for the whole file."""
        if job.prepared is not None:
            # Saved exposure does not remember how to convert currencies.
            conversion = _present(currency_conversion=job.currency)
            exposure = OedExposure.from_config(
                job.prepared / EXPOSURE_CONFIG, additional_fields=DEFAULT_ADDITIONAL_FIELDS, **conversion
            )
            prepare_oed_exposure(exposure)
            return exposure
        from oasislmf.computation.run.generate_files import GenerateOasisFiles  # noqa: PLC0415 - its reading rules

        return get_exposure_data(GenerateOasisFiles(**self._inputs(job)), add_internal_col=True)

    def _losses(self, job: LossesJob) -> dict[str, Any]:
        """Return what every losses step is given.

        The partial and output steps read the settings anew: theirs are the ones which the directory step wrote, or the
        defaults that it filled in, such as the number of samples, would be lost.
        """
        written = job.run_directory / SETTINGS_WRITTEN
        if job.progress is not None:
            os.environ["OASIS_ANALYSIS_STATUS_URL"] = job.progress
        return {
            **self._parameters,
            "model_run_dir": str(job.run_directory),
            "oasis_files_dir": str(job.run_directory / INPUTS),
            "analysis_settings_json": str(written if written.is_file() else job.settings),
            "kernel_fifo_relative": True,
            "resource_monitor_interval": MONITOR_EVERY_SECONDS,
            # The kernel posts for an analysis only; whose progress it is the address says.
            **_present(user_data_dir=job.user_data, analysis_pk=0 if job.progress else None),
        }


def _present(**values: object) -> dict[str, Any]:
    return {name: str(value) for name, value in values.items() if value is not None}


@contextmanager
def kernel_errors(exposure: Mapping[str, Path] | None = None) -> Iterator[None]:
    """Turn what the kernel raises into what steps understand; it may have stumbled over ``exposure`` (by label)."""
    try:
        yield
    except OasisExceptionNoKeys as error:
        raise NoKeys(_sentence(error)) from error
    except OdsException as error:
        raise ExposureRefused(_sentence(error)) from error
    except (UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError, json.JSONDecodeError) as error:
        raise ExposureRefused(_sentence(error)) from error
    except (ValueError, TypeError, OasisException) as error:
        if exposure is not None and (sentence := _misfit(exposure)) is not None:
            raise ExposureRefused(sentence) from error
        if not isinstance(error, OasisException):
            raise
        text = _sentence(error)
        if isinstance(error.__cause__, OdsException) or any(mark in text for mark in UNREADABLE):
            raise ExposureRefused(text) from error
        raise KernelError(text) from error
    except CalledProcessError as error:
        message = f"The kernel's run script ended with exit code {error.returncode}."
        raise KernelError(message) from error


@contextmanager
def _script_errors(job: LossesJob) -> Iterator[None]:
    """Turn what the kernel raises into what steps understand, where it runs a script."""
    try:
        with kernel_errors():
            yield
    except KernelError as error:
        if not run_scripts.lost_a_process(job.run_directory):
            raise
        message = "A process of the kernel's run script was killed from outside (SIGKILL)."
        raise ProcessLost(message) from error


def _misfit(exposure: Mapping[str, Path]) -> str | None:
    """Return a sentence on the exposure's first misfit, if one can be found."""
    try:
        return oed_values.misfit(exposure)
    except (OSError, ValueError):
        return None  # The first error says more.


def _sentence(error: Exception) -> str:
    """Return the error with what it was made of, on one line."""
    parts = [str(error)]
    original = getattr(error, "original_exception", None) or error.__cause__
    if original is not None and str(original) not in parts[0]:
        parts.append(str(original))
    return " ".join(" ".join(parts).split())
