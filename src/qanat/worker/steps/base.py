"""What every step is given and gives back."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qanat.configuration.cores import usable_cores
from qanat.contract import labels
from qanat.worker import archives
from qanat.worker.identity import ModelIdentity
from qanat.worker.kernel.port import ExposureRefused, Kernel


@dataclass(frozen=True, kw_only=True)
class StepJob:
    """A step in its attempt's directory."""

    task: str
    index: int
    count: int
    writes: tuple[str, ...]
    """Labels of the files that the step is to write."""
    parameters: dict[str, Any]
    inputs: dict[str, Path]
    """Files by label, downloaded."""
    directory: Path
    """Of this attempt alone."""
    model: ModelIdentity
    kernel: Callable[[], Kernel]
    """Loads the kernel; steps that do not need it do not pay for it."""
    outputs: dict[str, Path] = field(default_factory=dict)
    """Files by label that the step has made; also what could be saved of a failed one."""
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def work(self) -> Path:
        """Where the step works."""
        return self.directory / "work"

    @property
    def out(self) -> Path:
        """Where outputs are put that are not files of the work directory."""
        return self.directory / "out"

    @property
    def processes(self) -> int:
        """How many kernel processes to run: one a core, fewer where the model says so or a retry must save memory."""
        wanted = int(self.parameters.get("kernel_processes") or usable_cores())
        most = int(self.model.config.get("kernel_num_processes") or -1)
        return min(wanted, most) if most > 0 else wanted

    def give(self, label: str, path: Path) -> None:
        """Give a file, if it is there."""
        if path.is_file():
            self.outputs[label] = path

    def user_data(self) -> Path | None:
        """Return a folder with the complex model data files under their users' names, if there are any."""
        files = {k: v for k, v in self.inputs.items() if k.startswith(labels.COMPLEX_DATA_PREFIX)}
        if not files:
            return None
        folder = self.directory / "user-data"
        folder.mkdir(exist_ok=True)
        for label, path in files.items():
            link = folder / Path(label.removeprefix(labels.COMPLEX_DATA_PREFIX)).name
            if not link.exists():
                link.symlink_to(path)
        return folder

    def read_json(self, label: str) -> dict[str, Any] | None:
        """Return a JSON input.

        Raises:
            ExposureRefused: it is no JSON object.
        """
        path = self.inputs.get(label)
        if path is None:
            return None
        try:
            document = json.loads(path.read_text(encoding="utf-8-sig"))
        except ValueError as error:
            message = f"The settings ('{path.name}') are not JSON: {error}. Post them again."
            raise ExposureRefused(message) from error
        if not isinstance(document, dict):
            message = f"The settings ('{path.name}') are not a JSON object. Post them again."
            raise ExposureRefused(message)
        return document

    def unpack(self, label: str, target: Path) -> Path:
        """Unpack an archive.

        Raises:
            ExposureRefused: it is damaged or unsafe.
        """
        try:
            archives.unpack(self.inputs[label], target)
        except archives.UnsafeArchive as error:
            raise ExposureRefused(str(error)) from error
        return target
