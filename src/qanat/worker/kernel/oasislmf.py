"""The kernel port on top of ``oasislmf``, the only module that imports it.

The kernel's computation classes are imported where they are used: each costs between one and a half and four and a half
CPU-seconds to import, and a step needs one or two of them. They are what the methods of ``OasisManager`` are made of and take
the same parameters.
"""

import errno
import logging
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from qanat.worker.errors import InfrastructureFailed, InputRejected, ModelFailed
from qanat.worker.identity import ModelDirectory, resolve
from qanat.worker.kernel.port import Exposure, KeysWritten, LossChunk
from qanat.worker.kernel.slices import slice_of

PER_ANALYSIS: Final = frozenset(
    {
        "oed_location_csv",
        "oed_accounts_csv",
        "oed_info_csv",
        "oed_scope_csv",
        "analysis_settings_json",
        "reporting_currency",
        "currency_conversion_json",
    }
)
"""A model's configuration may name these for its own tests; here the analysis supplies them (wire contract, 5.3)."""

PER_ATTEMPT: Final = frozenset({"oasis_files_dir", "model_run_dir", "keys_data_path", "keys_errors_path", "user_data_dir"})
"""Directories of a run: never those that a developer of the model has left in the configuration."""

MONITOR_INTERVAL_SECONDS: Final = 86_400.0
"""The kernel's resource monitor walks through all processes of the machine every second and plots them at the end; the
supervisor measures the step more cheaply. It looks once at its start, so one day switches it off."""

MESSAGE_LENGTH_MAX: Final = 2_000

log = logging.getLogger(__name__)


class OasislmfKernel:
    """The kernel, configured for one model on this machine."""

    def __init__(self, model: ModelDirectory, *, analysis_id: int | None = None) -> None:
        """Take the model's configuration; with an analysis id, losses report their progress under it."""
        self._model = model
        self._analysis_id = analysis_id
        self._config = self._current_names(model.config())

    # --- inputs ---------------------------------------------------------------------------------------------------

    def has_pre_analysis(self) -> bool:
        """Tell whether the model changes the exposure before the lookup."""
        return bool(self._config.get("exposure_pre_analysis_module"))

    def pre_analysis(self, *, exposure: Exposure, settings: Path | None, user_data: Path | None, into: Path) -> None:
        """Run the model's pre-analysis hook; ``into`` then holds the OED files, raw and changed."""
        from oasislmf.computation.hooks.pre_analysis import ExposurePreAnalysis  # noqa: PLC0415 - see the module docstring

        with _translated("preparing the exposure"):
            step = ExposurePreAnalysis(
                **self._arguments(
                    ExposurePreAnalysis,
                    **exposure.files,
                    analysis_settings_json=settings,
                    user_data_dir=user_data,
                    oasis_files_dir=into,
                )
            )
            step.kwargs["exposure_data"] = self._load(step, exposure)
            step.run()

    def keys_of_slice(  # noqa: PLR0913 - the port's signature
        self,
        *,
        exposure: Exposure,
        settings: Path | None,
        user_data: Path | None,
        index: int,
        count: int,
        into: Path,
    ) -> KeysWritten:
        """Look up the ``index``-th of ``count`` contiguous slices of the locations."""
        from oasislmf.computation.generate.keys import GenerateKeys  # noqa: PLC0415 - see the module docstring

        keys, errors = into / "keys.csv", into / "keys-errors.csv"
        with _translated("looking up the keys"):
            step = GenerateKeys(
                **self._arguments(
                    GenerateKeys,
                    **self._lookup_settings(settings),
                    oed_location_csv=exposure.files.get("oed_location_csv"),
                    user_data_dir=user_data,
                    oasis_files_dir=into,
                    keys_data_path=keys,
                    keys_errors_path=errors,
                    keys_format="oasis",
                )
            )
            # Every slice reads the whole portfolio, as location ids follow from all of it; the rules of OED are checked
            # once, by the first slice, and again with all files when the input files are written.
            loaded = self._load(step, exposure, check=None if index == 0 else False)
            if exposure.reporting_currency:
                loaded.reporting_currency = exposure.reporting_currency
            source = loaded.get_subject_at_risk_source()
            frame = source.dataframe
            ids = slice_of(list(dict.fromkeys(frame["loc_id"].tolist())), index=index, count=count)
            if ids:
                source.dataframe = frame[frame["loc_id"].isin(ids)].copy()
                step.kwargs["exposure_data"] = loaded
                step.run()
            else:
                keys.write_bytes(b"")
                errors.write_bytes(b"")
        return KeysWritten(keys=keys, errors=errors, location_ids=frozenset(ids))

    def write_inputs(  # noqa: PLR0913 - the port's signature
        self,
        *,
        exposure: Exposure,
        settings: Path | None,
        user_data: Path | None,
        keys: tuple[Path, Path] | None,
        into: Path,
    ) -> frozenset[int]:
        """Write the kernel's input files and return the ids of all locations."""
        from oasislmf.computation.run.generate_files import GenerateOasisFiles  # noqa: PLC0415 - see the module docstring

        given: dict[str, Any] = {
            **exposure.files,
            **self._lookup_settings(settings),
            "analysis_settings_json": settings,
            "user_data_dir": user_data,
            "oasis_files_dir": into,
            "keys_format": "oasis",
            "reporting_currency": exposure.reporting_currency,
            "currency_conversion_json": exposure.currency_conversion,
        }
        with _translated("writing the input files"):
            if keys is not None:
                given |= {"keys_data_path": keys[0], "keys_errors_path": keys[1]}
            arguments = self._arguments(GenerateOasisFiles, **given)
            if keys is not None:
                # It has run already, in a step of its own.
                arguments["exposure_pre_analysis_module"] = None
            if exposure.prepared is not None:
                shutil.copytree(exposure.prepared, into, dirs_exist_ok=True)
            step = GenerateOasisFiles(**arguments)
            loaded = self._load(step, exposure)
            step.kwargs["exposure_data"] = loaded
            step.run()
            return frozenset(loaded.get_subject_at_risk_source().dataframe["loc_id"].tolist())

    # --- losses ---------------------------------------------------------------------------------------------------

    def prepare_run(self, *, inputs: Path, settings: Path, user_data: Path | None, run: Path) -> None:
        """Make the run directory from the input files; the settings in full are written to its output directory."""
        from oasislmf.computation.generate.losses import GenerateLossesDir  # noqa: PLC0415 - see the module docstring
        from oasislmf.computation.hooks.pre_loss import PreLoss  # noqa: PLC0415 - as above

        given = {
            "oasis_files_dir": inputs,
            "analysis_settings_json": settings,
            "user_data_dir": user_data,
            "check_oed": False,  # Checked when the inputs were generated.
        }
        with _translated("preparing the run directory"):
            if self._config.get("pre_loss_module"):
                PreLoss(**self._arguments(PreLoss, **given)).run()
            GenerateLossesDir(**self._arguments(GenerateLossesDir, **given, model_run_dir=run)).run()

    def losses_of_chunk(self, *, run: Path, chunk: LossChunk) -> None:
        """Compute the losses of one part of the events in a prepared run directory."""
        from oasislmf.computation.generate.losses import GenerateLossesPartial  # noqa: PLC0415 - see the module docstring

        with _translated("computing losses"):
            arguments = self._arguments(
                GenerateLossesPartial,
                **self._of_prepared(run),
                process_number=chunk.number,
                max_process_id=chunk.of,
                kernel_num_processes=chunk.of if chunk.number is None else 1,
            )
            GenerateLossesPartial(**arguments, **self._progress()).run()

    def losses_output(self, *, run: Path, processes: int, user_data: Path | None) -> None:
        """Turn the work files of all parts into the result files below ``run``/output."""
        from oasislmf.computation.generate.losses import GenerateLossesOutput  # noqa: PLC0415 - see the module docstring
        from oasislmf.computation.hooks.post_analysis import PostAnalysis  # noqa: PLC0415 - as above

        with _translated("writing the results"):
            arguments = self._arguments(
                GenerateLossesOutput, **self._of_prepared(run), max_process_id=processes, kernel_num_processes=processes
            )
            GenerateLossesOutput(**arguments).run()
            if self._config.get("post_analysis_module"):
                given = {"model_run_dir": run, "user_data_dir": user_data}
                settings = self._of_prepared(run)["analysis_settings_json"]
                PostAnalysis(**self._arguments(PostAnalysis, **given, analysis_settings_json=settings)).run()

    def whole_losses(self, *, inputs: Path, settings: Path, user_data: Path | None, run: Path, processes: int) -> None:
        """Do all of it: run directory, losses and result files."""
        from oasislmf.computation.run.generate_losses import GenerateOasisLosses  # noqa: PLC0415 - see the module docstring

        with _translated("computing losses"):
            arguments = self._arguments(
                GenerateOasisLosses,
                oasis_files_dir=inputs,
                analysis_settings_json=settings,
                user_data_dir=user_data,
                model_run_dir=run,
                kernel_num_processes=processes,
                check_oed=False,  # Checked when the inputs were generated.
            )
            GenerateOasisLosses(**arguments, **self._progress()).run()

    # --- parameters -----------------------------------------------------------------------------------------------

    @staticmethod
    def _current_names(config: Mapping[str, Any]) -> dict[str, Any]:
        from oasislmf.utils.inputs import update_config  # noqa: PLC0415 - see the module docstring

        renamed: dict[str, Any] = update_config(dict(config))
        return {key: value for key, value in renamed.items() if key not in PER_ANALYSIS | PER_ATTEMPT}

    def _arguments(self, step: Any, **given: Any) -> dict[str, Any]:  # noqa: ANN401 - the kernel is not typed
        """Return all parameters of a kernel step: the model's configuration, overridden by what is ``given``.

        The kernel lets ``computation_settings`` in an analysis' settings override any parameter. Those settings come from a
        user, and some parameters name Python modules or end up in a shell script; so of them only numbers and switches
        are taken. The model's own settings are installed with the model and are trusted.
        """
        parameters = {parameter["name"]: parameter for parameter in step.get_params()}
        chosen: dict[str, Any] = {}
        for name, value in self._config.items():
            if name in parameters:
                is_path = parameters[name].get("is_path") and isinstance(value, str) and value
                chosen[name] = str(resolve(value, self._model.config_file)) if is_path else value
        if self._model.settings_file is not None:
            chosen["model_settings_json"] = str(self._model.settings_file)
        chosen.setdefault("resource_monitor_interval", MONITOR_INTERVAL_SECONDS)
        for name, value in given.items():
            if value is not None and name in parameters:
                chosen[name] = str(value) if isinstance(value, Path) else value
        of_user = {info["name"] for info in step.get_params(param_type="settings") if info.get("user_role") == "user"}
        resolved: dict[str, Any] = step.get_arguments(**chosen)
        trusted = step.get_arguments(**{name: value for name, value in chosen.items() if name not in of_user})
        for name, value in trusted.items():
            if name not in of_user and resolved.get(name) != value and not isinstance(resolved.get(name), bool | int | float):
                log.warning("The analysis' settings must not change '%s' of the kernel: left as it is.", name)
                resolved[name] = value
        return resolved

    def _lookup_settings(self, settings: Path | None) -> dict[str, Any]:
        # A lookup that wants to see the analysis' settings gets them under this name, unless the model has its own file.
        return {} if self._config.get("lookup_complex_config_json") else {"lookup_complex_config_json": settings}

    def _of_prepared(self, run: Path) -> dict[str, Any]:
        # The settings as the directory step wrote them: the step fills in defaults (number of samples) which a later step
        # that reads the user's own file would not see.
        return {
            "oasis_files_dir": run / "input",
            "model_run_dir": run,
            "analysis_settings_json": run / "output" / "analysis_settings.json",
            "check_oed": False,
        }

    def _progress(self) -> dict[str, Any]:
        # Without a listener the kernel would complain in every process that nobody listens.
        return {"analysis_pk": self._analysis_id} if "OASIS_ANALYSIS_STATUS_URL" in os.environ else {}

    # --- exposure -------------------------------------------------------------------------------------------------

    @staticmethod
    def _load(step: Any, exposure: Exposure, *, check: bool | None = None) -> Any:  # noqa: ANN401 - the kernel is not typed
        """Return the portfolio with its location ids; ``check`` overrides whether the rules of OED are checked.

        Raises:
            InputRejected: a file cannot be read or breaks the rules of OED.
        """
        from oasislmf.utils.data import DEFAULT_ADDITIONAL_FIELDS, prepare_oed_exposure  # noqa: PLC0415 - see above
        from ods_tools.oed import OdsException, OedExposure  # noqa: PLC0415 - as above

        extra: dict[str, Any] = {"additional_fields": DEFAULT_ADDITIONAL_FIELDS}
        if exposure.currency_conversion is not None:
            extra["currency_conversion"] = str(exposure.currency_conversion)
        if check is not None:
            extra["check_oed"] = check
        try:
            if exposure.prepared is not None:
                # The hook's own files were checked when they went in.
                extra |= {"check_oed": False, "use_field": True, "backend_dtype": step.oed_backend_dtype}
                loaded = OedExposure.from_config(exposure.prepared / OedExposure.DEFAULT_EXPOSURE_CONFIG_NAME, **extra)
            else:
                loaded = OedExposure(**{**step.get_exposure_data_config(), **extra})
            for source in loaded.get_oed_sources():
                source.dataframe  # noqa: B018 - reads the file
            prepare_oed_exposure(loaded)
        except OdsException as error:
            message = f"The exposure files cannot be used: {_sentence(error)}"
            raise InputRejected(message) from error
        except (ValueError, KeyError, UnicodeError) as error:
            # pandas and pyarrow raise kinds of ValueError for files that are not what their names say.
            message = (
                f"The exposure files cannot be read: {type(error).__name__}: {_sentence(error)} "
                "Check that each file is CSV or Parquet as its name says, with a header and the same columns in every row."
            )
            raise InputRejected(message) from error
        return loaded


@contextmanager
def _translated(doing: str) -> Iterator[None]:
    """Turn the kernel's exceptions into ours; whatever is not the kernel's own is left to the caller."""
    from oasislmf.utils.exceptions import OasisException, OasisExceptionNoKeys  # noqa: PLC0415 - see the module docstring
    from ods_tools.oed import OdsException  # noqa: PLC0415 - as above

    try:
        yield
    except OasisExceptionNoKeys as error:
        message = "None of the locations found a key: the model does not cover them. The keys errors list the reasons."
        raise InputRejected(message, no_keys=True) from error
    except OdsException as error:
        message = f"The exposure or the settings cannot be used: {_sentence(error)}"
        raise InputRejected(message) from error
    except OasisException as error:
        causes = list(_causes(error))
        if any(isinstance(cause, OSError) and cause.errno == errno.ENOSPC for cause in causes):
            message = f"The disk of the worker became full while {doing}."
            raise InfrastructureFailed(message) from error
        if any(isinstance(cause, OdsException) for cause in causes):
            message = f"The exposure or the settings cannot be used: {_sentence(error)}"
            raise InputRejected(message) from error
        message = f"The kernel failed while {doing}: {_sentence(error)}"
        raise ModelFailed(message) from error


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    following: list[BaseException | None] = [error]
    while following:
        current = following.pop()
        if current is None or id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        original = getattr(current, "original_exception", None)
        following += [current.__cause__, current.__context__, original if isinstance(original, BaseException) else None]


def _sentence(error: BaseException) -> str:
    text = str(error).strip() or type(error).__name__
    return text if len(text) <= MESSAGE_LENGTH_MAX else f"{text[:MESSAGE_LENGTH_MAX]} ..."
