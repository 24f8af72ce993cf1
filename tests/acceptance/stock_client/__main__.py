"""Calls methods of the client that this interpreter has, as ``caller`` asks for them.

The first line it reads is the setting, a JSON document that ``caller`` describes, and the answer is the list of the
client's methods. Each further line is a method to call; the answer is empty, or says what went wrong.
"""

import json
import sys
import traceback
from importlib.metadata import version
from pathlib import Path
from typing import Any, TextIO

import pytest
from oasislmf.platform_api.client import APIClient

from qanat.demo.portfolio import DemoPortfolio
from tests.acceptance.stock_client.calls import Call, Scene, calls_of, methods


def main() -> None:
    """Set the scene, then call what is asked for until nothing more is."""
    answers = sys.stdout
    sys.stdout = sys.stderr  # What the client prints is no answer.
    setting = json.loads(sys.stdin.readline())
    client = APIClient(**setting["client"])
    files = DemoPortfolio(**{name: Path(path) for name, path in setting["files"].items()})
    scene = Scene(client=client, files=files, folder=Path(setting["folder"])).set(model=setting["model"])
    calls = calls_of(version("oasislmf"))
    _answer(answers, sorted(methods(client)))
    for line in sys.stdin:
        _answer(answers, _outcome(calls[line.strip()], scene))


def _outcome(call: Call, scene: Scene) -> str:
    try:
        call(scene)
    except (Exception, pytest.fail.Exception) as error:  # noqa: BLE001 - it is told
        story = traceback.TracebackException.from_exception(error, capture_locals=True)
        return "".join(story.format())
    return ""


def _answer(answers: TextIO, what: Any) -> None:  # noqa: ANN401 - a JSON document
    print(json.dumps(what), file=answers, flush=True)


if __name__ == "__main__":
    main()
