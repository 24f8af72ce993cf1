"""The files of an attempt, on their way: inputs to its directory, outputs and log to the server.

Small ones come with the claim and go with the last word; larger ones are requests of their own.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final, NotRequired, TypedDict

from qanat.contract import along, labels, tasks
from qanat.contract.worker_protocol import InputFile, LogPiece, OutputFile, SmallOutput, StepSpec
from qanat.worker import exposure_files
from qanat.worker.run_dir import RunDir
from qanat.worker.server import Server

EXPOSURE_NAMES: Final = {
    labels.LOCATION: "location",
    labels.ACCOUNTS: "account",
    labels.REINSURANCE_INFO: "reinsinfo",
    labels.REINSURANCE_SCOPE: "reinsscope",
    labels.CURRENCY: "currency_conversion",
    labels.SETTINGS: "analysis_settings",
}
TRACEBACKS: Final = {
    tasks.GENERATE_INPUT: (labels.INPUT_TRACEBACK, "generation_traceback.txt"),
    tasks.RUN_ANALYSIS: (labels.RUN_TRACEBACK, "run_traceback.txt"),
}
"""V1 has one step a phase, and its log is the phase's traceback file. In V2 the server joins the logs of all steps."""
LOG_PIECE_BYTES: Final = 512 * 2**10


class Brought(TypedDict):
    """The outputs and the log, as a last word has them."""

    outputs: list[OutputFile]
    small_outputs: list[SmallOutput]
    log: NotRequired[LogPiece]


class Transfer:
    """Moves the files of one attempt."""

    def __init__(self, server: Server, spec: StepSpec, run_dir: RunDir) -> None:
        """Move them between ``server`` and ``run_dir``."""
        self._server = server
        self._spec = spec
        self._run_dir = run_dir
        self._log_sent = 0
        """How much of the log the server has, in bytes."""

    def fetch(self) -> dict[str, Path]:
        """Put the inputs into the attempt's directory; return them by label.

        Raises:
            Refused: the step is somebody else's, or an input is gone.
            ServerAway: for too long.
            OSError: there is no room.
        """
        return {file["label"]: self._fetch(number, file) for number, file in enumerate(self._spec["inputs"])}

    def _fetch(self, number: int, file: InputFile) -> Path:
        target = self._run_dir.inputs / f"{number}-{Path(file['filename']).name}"
        if "content" in file:
            target.write_bytes(along.unpacked(file["content"]))
        else:
            self._server.fetch(self._spec, file["label"], target)
        name = EXPOSURE_NAMES.get(file["label"])
        if name is None:
            return target
        suffix = exposure_files.suffix(target, filename=file["filename"], content_type=file["content_type"])
        return target.rename(target.with_name(name + suffix))

    def send_log(self) -> None:
        """Send one piece of what the log has grown by.

        Raises:
            Refused: the step is somebody else's.
            ServerAway: the piece comes with the next one.
        """
        sent = self._log_sent
        if piece := self._log_from(sent):
            self._log_sent = self._server.log(self._spec, sent, piece)

    def send_rest_of_log(self, *, but_bytes: int = 0) -> None:
        """Send all of the log but, where no more is left, the last ``but_bytes``.

        Raises:
            Refused: the step is somebody else's.
            ServerAway: for too long.
        """
        sent = self._log_sent
        while len(piece := self._log_from(sent)) > but_bytes:
            sent = self._log_sent = self._server.log(self._spec, sent, piece, patiently=True)

    def bring(self, outputs: Mapping[str, str]) -> Brought:
        """Store what is large; return it with what goes along with the last word.

        Args:
            outputs: paths by label.

        Raises:
            Refused: the step is somebody else's.
            ServerAway: for too long.
        """
        brought = Brought(outputs=[], small_outputs=[])
        room = along.Room()
        for label, path in self._with_traceback(outputs).items():
            if room.takes(path.stat().st_size):
                small = SmallOutput(label=label, filename=path.name, content=along.packed(path.read_bytes()))
                brought["small_outputs"].append(small)
            else:
                brought["outputs"].append(self._server.store(self._spec, label, path))
        sent = self._log_sent
        rest = self._log_from(sent)
        if 0 < len(rest) <= along.SMALL_BYTES:
            brought["log"] = LogPiece(offset=sent, content=along.packed(rest))
        return brought

    def _with_traceback(self, outputs: Mapping[str, str]) -> dict[str, Path]:
        paths = {label: Path(path) for label, path in outputs.items()}
        traceback = TRACEBACKS.get(self._spec["task"])
        if traceback is not None and self._run_dir.log.exists():
            label, name = traceback
            copy = self._run_dir.path / name
            copy.write_bytes(self._run_dir.log.read_bytes())
            paths[label] = copy
        return paths

    def _log_from(self, offset: int) -> bytes:
        """Return what the log has from an offset on, or a first piece of it; nothing where there is no log."""
        if not self._run_dir.log.exists():
            return b""
        with self._run_dir.log.open("rb") as log:
            log.seek(offset)
            return log.read(LOG_PIECE_BYTES)
