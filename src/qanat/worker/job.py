"""What the supervisor tells its runner to do, and what the runner answers: two JSON files in the attempt's directory.

Files rather than standard output, because the kernel and the model print whatever they like there.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from qanat.contract.statuses import FailureClass


@dataclass(frozen=True, kw_only=True)
class GivenFile:
    """An input of the step on the local disk."""

    path: Path
    filename: str
    """The user's or the producing step's name: a label for people."""


@dataclass(frozen=True, kw_only=True)
class MadeFile:
    """An output of the step on the local disk."""

    path: Path
    filename: str
    content_type: str


@dataclass(frozen=True, kw_only=True)
class Job:
    """A step to run."""

    task: str
    slug: str
    index: int = 0
    count: int = 1
    loss_chunks: int = 1
    analysis_id: int | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, GivenFile] = field(default_factory=dict)
    user_data: Path | None = None
    """Directory with the analysis' complex model data files, where it has any."""
    work: Path
    """An empty directory of the attempt's own, for everything that is not handed on."""
    out: Path
    """An empty directory for what is handed on."""
    log: Path
    """The log that the runner's standard output and error go to."""
    cores: int = 1
    """How many kernel processes the step may use."""

    def given(self, label: str) -> Path | None:
        """Return the path of an input, or None where the step has not got it."""
        file = self.inputs.get(label)
        return None if file is None else file.path


@dataclass(frozen=True, kw_only=True)
class ModelOnDisk:
    """Where the runner finds the model."""

    directory: Path
    config_file: Path
    settings_file: Path | None


@dataclass(frozen=True, kw_only=True)
class Spec:
    """The file that the runner is started with."""

    job: Job
    model: ModelOnDisk
    answer: Path
    """Where the runner writes its ``Answer``."""

    def write(self, path: Path) -> None:
        """Write the specification as JSON."""
        path.write_text(json.dumps(asdict(self), default=str), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a specification written by ``write``."""
        content = json.loads(path.read_text(encoding="utf-8"))
        job = content["job"]
        given = {
            label: GivenFile(path=Path(file["path"]), filename=file["filename"])
            for label, file in job["inputs"].items()
        }
        paths = {name: Path(job[name]) for name in ("work", "out", "log")}
        user_data = Path(job["user_data"]) if job["user_data"] else None
        model = content["model"]
        settings_file = Path(model["settings_file"]) if model["settings_file"] else None
        return cls(
            job=Job(**{**job, **paths, "inputs": given, "user_data": user_data}),
            model=ModelOnDisk(
                directory=Path(model["directory"]),
                config_file=Path(model["config_file"]),
                settings_file=settings_file,
            ),
            answer=Path(content["answer"]),
        )


@dataclass(frozen=True, kw_only=True)
class Answer:
    """How the step went, as the runner saw it; a runner that was killed leaves none."""

    outputs: Mapping[str, MadeFile] = field(default_factory=dict)
    """Label -> file; on failure whatever could be saved."""
    result: Mapping[str, Any] = field(default_factory=dict)
    failure_class: FailureClass | None = None
    """None where the step succeeded."""
    message: str = ""
    traceback: str = ""
    no_keys: bool = False
    cpu_seconds: float = 0.0
    """Of the runner and everything that it started and waited for."""
    largest_process_bytes: int = 0
    """The most that a single process of the step had resident."""

    def write(self, path: Path) -> None:
        """Write the answer as JSON, in one piece."""
        temporary = path.with_suffix(".part")
        temporary.write_text(json.dumps(asdict(self), default=str), encoding="utf-8")
        temporary.replace(path)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read an answer written by ``write``."""
        content = json.loads(path.read_text(encoding="utf-8"))
        outputs = {
            label: MadeFile(path=Path(file["path"]), filename=file["filename"], content_type=file["content_type"])
            for label, file in content["outputs"].items()
        }
        failure = FailureClass(content["failure_class"]) if content["failure_class"] else None
        return cls(**{**content, "outputs": outputs, "failure_class": failure})
