"""Which model a directory holds: its identity, its kernel configuration and its settings (wire contract, section 5.3).

Light on purpose: the command line imports it to name a model before anything heavy is loaded.
"""

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from qanat.worker.errors import ModelDirectoryUnusable

CONFIG_NAME: Final = "oasislmf.json"
SITE_CONFIG: Final = Path("/var/oasis/oasislmf.json")
SETTINGS_PATH: Final = Path("meta-data", "model_settings.json")
IDENTITY_OPTIONS: Final = "--supplier, --model-id and --version"


@dataclass(frozen=True, kw_only=True)
class ModelIdentity:
    """The triple by which a model is known everywhere."""

    supplier_id: str
    model_id: str
    version_id: str

    def __str__(self) -> str:
        """Return the triple as people write it."""
        return f"{self.supplier_id}/{self.model_id}/{self.version_id}"


@dataclass(frozen=True, kw_only=True)
class ModelDirectory:
    """A model on this machine."""

    directory: Path
    identity: ModelIdentity
    config_file: Path
    settings_file: Path | None
    """The model settings, where the model has any."""

    def config(self) -> dict[str, Any]:
        """Return the kernel configuration as the file has it, with its keys in lower case."""
        return _config(self.config_file)

    def settings(self) -> dict[str, Any] | None:
        """Return the model settings, or None where the model has none."""
        return None if self.settings_file is None else _object(self.settings_file, "the model settings")

    def data_directory(self) -> Path | None:
        """Return where the model's data files lie, if the configuration says so."""
        given = self.config().get("model_data_dir")
        return resolve(given, self.config_file) if isinstance(given, str) and given else None


def identify(
    model_dir: Path,
    *,
    supplier_id: str | None = None,
    model_id: str | None = None,
    version_id: str | None = None,
    config_file: Path | None = None,
    settings_file: Path | None = None,
) -> ModelIdentity:
    """Return the identity of the model in ``model_dir``; what is given wins over what the directory says.

    Raises:
        ModelDirectoryUnusable: the directory does not exist, is not laid out as a model, or does not tell its identity.
    """
    return locate(
        model_dir,
        supplier_id=supplier_id,
        model_id=model_id,
        version_id=version_id,
        config_file=config_file,
        settings_file=settings_file,
    ).identity


def locate(
    model_dir: Path,
    *,
    supplier_id: str | None = None,
    model_id: str | None = None,
    version_id: str | None = None,
    config_file: Path | None = None,
    settings_file: Path | None = None,
) -> ModelDirectory:
    """Return the model in ``model_dir`` with its files found; arguments and errors as in ``identify``."""
    directory = model_dir.expanduser().resolve()
    if not directory.is_dir():
        what = "is not a directory" if directory.exists() else "does not exist"
        message = (
            f"The model directory {directory} {what}. "
            f"Give the directory that contains the model's {CONFIG_NAME} and its data."
        )
        raise ModelDirectoryUnusable(message)
    config_path = _find_config(directory, model_id=model_id, explicit=config_file)
    config = _config(config_path)
    settings_path = _find_settings(directory, config, config_path, explicit=settings_file)
    found = _told_by_directory(config, config_path, settings_path)
    supplier = supplier_id or found.get("supplier_id")
    model = model_id or found.get("model_id")
    version = version_id or found.get("version_id")
    if not (supplier and model and version):
        missing = [
            name for name, value in (("supplier", supplier), ("model id", model), ("version", version)) if not value
        ]
        message = (
            f"The model directory {directory} does not tell the model's {', '.join(missing)}: looked in "
            f"{settings_path or directory / SETTINGS_PATH}, in the model version file and in the lookup configuration "
            f"named by {config_path}. Give {IDENTITY_OPTIONS}, or add them to the model settings."
        )
        raise ModelDirectoryUnusable(message)
    return ModelDirectory(
        directory=directory,
        identity=ModelIdentity(supplier_id=supplier, model_id=model, version_id=version),
        config_file=config_path,
        settings_file=settings_path,
    )


def resolve(path: str, config_file: Path) -> Path:
    """Return a path of the kernel configuration, which is relative to the configuration's own directory."""
    return Path(path) if Path(path).is_absolute() else config_file.parent / path


def _find_config(directory: Path, *, model_id: str | None, explicit: Path | None) -> Path:
    if explicit is not None:
        if not explicit.is_file():
            message = f"The kernel configuration {explicit} does not exist. Correct the path or leave it out."
            raise ModelDirectoryUnusable(message)
        return explicit.resolve()
    own = [directory / f"{model_id}-{CONFIG_NAME}"] if model_id else sorted(directory.glob(f"*-{CONFIG_NAME}"))
    # Without a model id several such files would be a guess; then only the plain name counts.
    candidates = [*(own if len(own) == 1 else []), directory / CONFIG_NAME, SITE_CONFIG]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    tried = ", ".join(str(candidate) for candidate in candidates)
    message = (
        f"No kernel configuration found for the model directory {directory}: tried {tried}. "
        f"Put an {CONFIG_NAME} into the directory, or name the file with the setting OASIS_OASISLMF_CONFIG."
    )
    raise ModelDirectoryUnusable(message)


def _find_settings(
    directory: Path, config: Mapping[str, Any], config_file: Path, *, explicit: Path | None
) -> Path | None:
    if explicit is not None:
        if not explicit.is_file():
            message = f"The model settings {explicit} do not exist. Correct the path or leave it out."
            raise ModelDirectoryUnusable(message)
        return explicit.resolve()
    named = config.get("model_settings_json")
    if isinstance(named, str) and named:
        path = resolve(named, config_file)
        if not path.is_file():
            message = f"{config_file} names the model settings {path}, which do not exist. Correct 'model_settings_json'."
            raise ModelDirectoryUnusable(message)
        return path
    usual = directory / SETTINGS_PATH
    return usual if usual.is_file() else None


def _told_by_directory(config: Mapping[str, Any], config_file: Path, settings_file: Path | None) -> dict[str, str]:
    found: dict[str, str] = {}
    if settings_file is not None:
        settings = _object(settings_file, "the model settings")
        _take(found, settings, {"supplier_id": "model_supplier_id", "model_id": "model_name_id"})
        _take(found, settings, {"version_id": "model_version_id"})
    for row in _version_rows(config, config_file):
        _take(found, row, {name: name for name in ("supplier_id", "model_id", "version_id")})
    lookup = config.get("lookup_config_json")
    if isinstance(lookup, str) and resolve(lookup, config_file).is_file():
        model = _object(resolve(lookup, config_file), "the lookup configuration").get("model")
        if isinstance(model, dict):
            _take(found, model, {"supplier_id": "supplier_id", "model_id": "model_id", "version_id": "model_version"})
    return found


def _take(found: dict[str, str], source: Mapping[str, Any], names: Mapping[str, str]) -> None:
    for name, key in names.items():
        value = source.get(key)
        if name not in found and isinstance(value, str | int | float) and str(value).strip():
            found[name] = str(value).strip()


def _version_rows(config: Mapping[str, Any], config_file: Path) -> list[dict[str, str]]:
    named = config.get("model_version_csv")
    keys = config.get("lookup_data_dir")
    candidates = [resolve(named, config_file)] if isinstance(named, str) and named else []
    if isinstance(keys, str) and keys:
        candidates.append(resolve(keys, config_file) / "ModelVersion.csv")
    for candidate in candidates:
        try:
            with candidate.open(encoding="utf-8-sig", newline="") as file:
                row = next(csv.reader(file), [])
        except FileNotFoundError:
            continue
        except (OSError, UnicodeDecodeError) as error:
            message = f"The model version file {candidate} cannot be read: {error}."
            raise ModelDirectoryUnusable(message) from error
        return [dict(zip(("supplier_id", "model_id", "version_id"), row, strict=False))]
    return []


def _config(path: Path) -> dict[str, Any]:
    return {key.lower(): value for key, value in _object(path, "the kernel configuration").items()}


def _object(path: Path, what: str) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        message = f"{path} ({what}) cannot be read: {error}."
        raise ModelDirectoryUnusable(message) from error
    except json.JSONDecodeError as error:
        message = f"{path} ({what}) is not valid JSON: line {error.lineno}, column {error.colno}: {error.msg}."
        raise ModelDirectoryUnusable(message) from error
    if not isinstance(content, dict):
        message = f"{path} ({what}) must contain a JSON object, not {type(content).__name__}."
        raise ModelDirectoryUnusable(message)
    return content
