"""Starts the stock client of an interpreter and has it call its methods."""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.conftest import ROOT


class StockClient:
    """A process in which the stock client of one version is logged in."""

    def __init__(self, process: "subprocess.Popen[str]", *, setting: Mapping[str, Any], log: Path) -> None:
        """Wait until its scene is set."""
        self._process = process
        self._log = log
        self.methods = set(self._ask(json.dumps(setting)))

    def call(self, method: str) -> None:
        """Call a method.

        Raises:
            AssertionError: with what went wrong there.
        """
        if told := self._ask(method):
            raise AssertionError(told)

    def _ask(self, what: str) -> Any:  # noqa: ANN401 - a JSON document
        with suppress(BrokenPipeError):  # It says below why it has ended.
            print(what, file=self._process.stdin, flush=True)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"the client's process has ended:\n{self._log.read_text(errors='replace')[-5000:]}"
        return json.loads(line)


@contextmanager
def running(python: Path, *, setting: Mapping[str, Any], folder: Path) -> Iterator[StockClient]:
    """Run the client of an interpreter.

    Args:
        python: the interpreter, in whose environment a version of the client is.
        setting: ``client`` has what ``APIClient`` is made with, ``files`` the paths of the demonstration portfolio's
            files, ``model`` the id of the demonstration model.
        folder: where it may write.
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "src")))}
    log = folder / "client.log"
    with (
        log.open("w") as errors,
        subprocess.Popen(
            [str(python), "-m", "tests.acceptance.stock_client"],
            env=environment,
            cwd=folder,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
        ) as process,
    ):
        try:
            yield StockClient(process, setting={**setting, "folder": str(folder)}, log=log)
        finally:
            process.terminate()
