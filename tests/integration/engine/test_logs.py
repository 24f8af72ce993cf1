"""The engine's lines in the log say which run and step they are about, and nothing of what models say."""

import json
import logging
from typing import Any

import pytest

from qanat import logs
from qanat.contract.statuses import FailureClass
from qanat.domain import run_plan
from qanat.server.runs import claims
from qanat.server.runs.failure import AttemptFailed, fail
from tests.integration.engine.world import QUEUE, World

pytestmark = pytest.mark.django_db(transaction=True)
HUSH = "hush-hush"


@pytest.fixture(autouse=True)
def as_json(caplog: pytest.LogCaptureFixture) -> None:
    """Have lines for programmes, from INFO on."""
    caplog.set_level(logging.INFO, logger="qanat")
    caplog.handler.setFormatter(logs.JsonLines())


def lines(caplog: pytest.LogCaptureFixture, **about: object) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in caplog.text.splitlines()]
    return [line for line in found if about.items() <= line.items()]


def test_the_life_of_a_step_can_be_followed(world: World, caplog: pytest.LogCaptureFixture) -> None:
    run = world.submit(5, chunks=1)
    world.control()
    held = world.deliver(world.messages.pop(0))
    assert held is not None
    attempt = AttemptFailed(failure_class=FailureClass.MODEL, message=HUSH, traceback=HUSH, exit_code=1)
    fail(step_id=held.step_id, fence=held.fence, attempt=attempt, now=world.now)
    world.control()
    again = world.deliver(world.messages.pop(0))
    assert again is not None
    world.finish(again)

    of_the_step = lines(caplog, step=held.step_id)
    assert [(line["attempt"], line["message"]) for line in of_the_step] == [
        (1, "The step is claimed"),
        (1, "The step is handed back"),
        (1, "The attempt failed (model): it is tried again in 0 s"),
        (2, "The step is claimed"),
        (2, "The step is committed"),
    ]
    about = {"run": run.pk, "analysis": 5, "model": QUEUE.removesuffix("-v2")}
    assert all(about.items() <= line.items() for line in of_the_step)
    assert HUSH not in caplog.text


def test_the_life_of_a_run_can_be_followed(world: World, caplog: pytest.LogCaptureFixture) -> None:
    run = world.submit(5, chunks=1)

    world.work_until_quiet()

    of_the_run = [line["message"] for line in lines(caplog, run=run.pk, analysis=5)]
    assert [line for line in of_the_run if line.startswith("The run")] == [
        "The run is submitted",
        "The run is active",
        "The run is succeeded",
    ]
    assert any(line.startswith("Planned") for line in of_the_run)


def test_a_run_that_cannot_be_planned_leaves_its_traceback(
    world: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_plan, "plan", lambda **_: 1 // 0)
    run = world.submit(5)

    world.control()

    (failed,) = lines(caplog, run=run.pk, level="ERROR")
    assert failed["traceback"].endswith("ZeroDivisionError: integer division or modulo by zero")


def test_nothing_is_said_of_what_did_not_happen(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.submit(5)
    world.control()
    held = world.deliver(world.messages.pop(0))
    assert held is not None
    caplog.clear()

    with pytest.raises(claims.StepRefused):
        claims.hand_back(step_id=held.step_id, fence=held.fence + 1, now=world.now)

    assert lines(caplog) == []
