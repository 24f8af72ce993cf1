"""What a runner is told of its step, in a file of the attempt's directory."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Self

from qanat.worker.identity import ModelIdentity, identify

NAME: Final = "spec.json"


@dataclass(frozen=True, kw_only=True)
class RunnerSpec:
    """A step, its files, and whose model's it is; see ``contract.worker_protocol.StepSpec`` for the first three."""

    task: str
    index: int
    count: int
    writes: Sequence[str]
    """Labels of the files that the step is to write."""
    parameters: Mapping[str, Any]
    inputs: Mapping[str, str]
    """Paths by label."""
    model_dir: str
    supplier_id: str
    model_id: str
    version_id: str
    config_path: str
    settings_path: str | None
    kernel_level: str = "info"
    """What the kernel logs."""
    shim: str | None = None
    """The compiled shim of the kernel's tools, if there is one."""

    @classmethod
    def of(cls, model: ModelIdentity, *, inputs: Mapping[str, Path], shim: Path | None, **step: Any) -> Self:  # noqa: ANN401 - the fields of the step
        """Return the spec of a model's step."""
        return cls(
            **step,
            inputs={label: str(path) for label, path in inputs.items()},
            model_dir=str(model.directory),
            supplier_id=model.supplier_id,
            model_id=model.model_id,
            version_id=model.version_id,
            config_path=str(model.config_path),
            settings_path=str(model.settings_path) if model.settings_path else None,
            shim=str(shim) if shim else None,
        )

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what ``write`` wrote."""
        return cls(**json.loads(path.read_text()))

    def write(self, directory: Path) -> Path:
        """Write it into the attempt's directory; return its path."""
        path = directory / NAME
        path.write_text(json.dumps(asdict(self)))
        return path

    def model(self) -> ModelIdentity:
        """Return the model.

        Raises:
            ModelDirectoryError: its folder holds none any more.
        """
        return identify(
            Path(self.model_dir),
            supplier_id=self.supplier_id,
            model_id=self.model_id,
            version_id=self.version_id,
            config=Path(self.config_path),
            settings_file=Path(self.settings_path) if self.settings_path else None,
        )
