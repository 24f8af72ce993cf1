"""Which model a directory holds, and how the kernel is to run it (wire contract, section 5.3); no kernel needed."""

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

CONFIG: Final = "oasislmf.json"
SHARED_CONFIG: Final = Path("/var/oasis/oasislmf.json")
SETTINGS: Final = Path("meta-data") / "model_settings.json"
NOT_THE_MODELS: Final = (
    "oed_location_csv",
    "oed_accounts_csv",
    "oed_info_csv",
    "oed_scope_csv",
    "analysis_settings_json",
    "reporting_currency",
    "currency_conversion_json",
)
"""Keys of the configuration that say what to run rather than how; a worker gets that from the run."""
IDENTITY_COLUMNS: Final = 3


class ModelDirectoryError(Exception):
    """The directory holds no model that a worker can run; the message says what is missing and what to do."""


@dataclass(frozen=True, kw_only=True)
class ModelIdentity:
    """A model directory, read."""

    supplier_id: str
    model_id: str
    version_id: str
    directory: Path
    config_path: Path
    config: dict[str, Any]
    """The kernel's configuration, without what belongs to a run; paths still relative to ``config_path``'s folder."""
    settings_path: Path | None
    settings: dict[str, Any] | None

    def __str__(self) -> str:
        """Return supplier, model and version as people write them."""
        return f"{self.supplier_id}/{self.model_id}/{self.version_id}"


INTERNAL_DIRECTORY: Final = Path(__file__).with_name("internal_model")
"""What the internal worker runs in a model's place: a configuration without anything in it."""


def internal() -> ModelIdentity:
    """Return who the internal worker is: the one whose steps need no model (wire contract, section 5.2)."""
    return identify(INTERNAL_DIRECTORY, supplier_id="oasis", model_id="internal", version_id="worker")


def identify(  # noqa: PLR0913 - each may be given
    directory: Path,
    *,
    supplier_id: str | None = None,
    model_id: str | None = None,
    version_id: str | None = None,
    config: Path | None = None,
    settings_file: Path | None = None,
) -> ModelIdentity:
    """Read a model directory; what is given beats what the directory says of itself.

    Raises:
        ModelDirectoryError: it is no directory, has no configuration, or does not say which model it is.
    """
    if not directory.is_dir():
        message = f"There is no model directory {directory}: give the folder that holds the model's {CONFIG}."
        raise ModelDirectoryError(message)
    config_path = _config_path(directory, model_id, given=config)
    kernel = {key: value for key, value in _json(config_path).items() if key not in NOT_THE_MODELS}
    settings_path = _settings_path(directory, config_path, kernel, given=settings_file)
    settings = _json(settings_path) if settings_path else None
    named = _named_by_version_file(config_path, kernel)
    of_settings = settings or {}
    found = (
        supplier_id or of_settings.get("model_supplier_id") or named[0],
        model_id or of_settings.get("model_name_id") or named[1],
        version_id or of_settings.get("model_version_id") or named[2],
    )
    if not all(found):
        missing = [name for name, value in zip(("supplier", "model id", "version"), found, strict=True) if not value]
        message = (
            f"{directory} does not say its {', '.join(missing)}: give --supplier, --model-id and --version, or set "
            "OASIS_MODEL_SUPPLIER_ID, OASIS_MODEL_ID and OASIS_MODEL_VERSION_ID."
        )
        raise ModelDirectoryError(message)
    return ModelIdentity(
        supplier_id=str(found[0]),
        model_id=str(found[1]),
        version_id=str(found[2]),
        directory=directory,
        config_path=config_path,
        config=kernel,
        settings_path=settings_path,
        settings=settings,
    )


def _config_path(directory: Path, model_id: str | None, *, given: Path | None) -> Path:
    """Return the configuration: the one given, else the first of the places that the contract names."""
    if given is not None:
        if given.is_file():
            return given
        message = f"There is no {given}, the kernel's configuration that was asked for (OASISLMF_CONFIG)."
        raise ModelDirectoryError(message)
    candidates = [directory / f"{model_id}-{CONFIG}"] if model_id else []
    candidates += [directory / CONFIG, SHARED_CONFIG]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    message = (
        f"{directory} has no {CONFIG}, the kernel's configuration of the model: give the folder that holds it. "
        f"It has: {', '.join(sorted(p.name for p in directory.iterdir())[:10]) or 'nothing'}."
    )
    raise ModelDirectoryError(message)


def _settings_path(directory: Path, config_path: Path, config: dict[str, Any], *, given: Path | None) -> Path | None:
    if given is not None:
        if given.is_file():
            return given
        message = f"There is no {given}, the model settings that were asked for (MODEL_SETTINGS_FILE)."
        raise ModelDirectoryError(message)
    named = config.get("model_settings_json")
    path = config_path.parent / named if named else directory / SETTINGS
    if path.is_file():
        return path
    if named:
        message = f"{config_path} names the model settings {named}, which are not there."
        raise ModelDirectoryError(message)
    return None


def _named_by_version_file(config_path: Path, config: dict[str, Any]) -> tuple[str, str, str]:
    """Return supplier, model and version from the model's version file (one line), or empty ones."""
    candidates = [config.get("model_version_csv")]
    if keys_data := config.get("lookup_data_dir"):
        candidates.append(f"{keys_data}/ModelVersion.csv")
    for candidate in candidates:
        path = config_path.parent / candidate if candidate else None
        if path is not None and path.is_file():
            with path.open(newline="", encoding="utf-8-sig") as stream:
                row = [cell.strip() for cell in next(csv.reader(stream), [])]
            if len(row) >= IDENTITY_COLUMNS:
                return row[0], row[1], row[2]
    lookup = config.get("lookup_config_json")
    path = config_path.parent / lookup if lookup else None
    if path is not None and path.is_file():
        model = _json(path).get("model", {})
        return (
            str(model.get("supplier_id", "")),
            str(model.get("model_id", "")),
            str(model.get("model_version", "")),
        )
    return "", "", ""


def _json(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        message = f"{path} cannot be read as JSON: {error}"
        raise ModelDirectoryError(message) from error
    if not isinstance(document, dict):
        message = f"{path} is not a JSON object."
        raise ModelDirectoryError(message)
    return document
