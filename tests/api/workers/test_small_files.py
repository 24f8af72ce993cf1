"""Small files travel with the answer to a claim, and with a commit or failure; nothing of them counts twice."""

import base64
from collections.abc import Iterable
from typing import Any

import pytest
from django.conf import settings

from qanat.contract.along import SMALL_BYTES
from qanat.contract.statuses import FailureClass, StepState
from qanat.contract.worker_protocol import STEP_TOKEN_SCHEME, WORKER_KEY_SCHEME
from qanat.server.analyses.models import Analysis
from qanat.server.files.storage import storage
from qanat.server.runs.models import Step
from tests.api.caller import BAD_REQUEST, OK, Answer, Caller
from tests.api.world import Workers

CONFLICT = 409
LOG = b"what the step printed\n"


@pytest.fixture
def version() -> str:
    """V2, whose steps are many."""
    return "v2"


@pytest.fixture
def waiting(api: Caller, analysis: Analysis, workers: Workers) -> Step:
    """A step for which a worker's bell has rung."""
    api.post(f"analyses/{analysis.pk}/generate_inputs/")
    workers.control()
    return Step.objects.get(pk=workers.messages[0].step_id)


def claim(step: Step) -> Answer:
    worker = Caller(None, "workers", headers={"Authorization": f"{WORKER_KEY_SCHEME} {settings.QANAT.worker_key}"})
    return worker.post(f"steps/{step.pk}/claim/", {"fence": step.fence, "worker": "w1"})


def of(spec: dict[str, Any]) -> Caller:
    """Return the worker that holds a step."""
    return Caller(
        None, f"workers/steps/{spec['step_id']}", headers={"Authorization": f"{STEP_TOKEN_SCHEME} {spec['token']}"}
    )


def along(content: bytes) -> str:
    return base64.b64encode(content).decode()


def commit(*, label: str = "anything", content: str = along(b"a,b\n")) -> dict[str, Any]:
    return {
        "outputs": [],
        "small_outputs": [{"label": label, "filename": "../one.tar.gz", "content": content}],
        "log": {"offset": 0, "content": along(LOG)},
        "result": {},
        "resources": None,
    }


def bytes_of(keys: Iterable[str]) -> bytes:
    return b"".join(b"".join(storage().read(key)) for key in keys)


def test_a_claim_brings_what_is_small_and_nothing_else(waiting: Step) -> None:
    ref = waiting.run.inputs["location_file"]
    large = {**ref, "key": "large.csv", "size": SMALL_BYTES + 1}
    storage().write("large.csv", [bytes(SMALL_BYTES + 1)])
    waiting.run.inputs = {**waiting.run.inputs, "accounts_file": large}
    waiting.run.save()
    waiting.reads = ["location_file", "accounts_file"]
    waiting.save()

    files = {file["label"]: file for file in claim(waiting).body["inputs"]}

    assert base64.b64decode(files["location_file"]["content"]) == bytes_of([ref["key"]])
    assert "content" not in files["accounts_file"]


def test_what_was_deleted_meanwhile_is_heard_of_by_whoever_fetches_it(waiting: Step) -> None:
    waiting.reads = ["location_file"]
    waiting.save()
    storage().delete(waiting.run.inputs["location_file"]["key"])

    spec = claim(waiting).body
    answer = of(spec).get("inputs/location_file/")

    assert "content" not in spec["inputs"][0]
    assert (answer.code, "ask again" in answer.body["detail"]) == (CONFLICT, True)


def test_a_commit_keeps_small_outputs_and_the_end_of_the_log(waiting: Step) -> None:
    worker = of(claim(waiting).body)

    answer = worker.post("commit/", commit())

    waiting.refresh_from_db()
    kept = waiting.result["outputs"]["anything"]
    assert (answer.code, waiting.state) == (OK, StepState.SUCCEEDED)
    assert (kept["filename"], kept["content_type"], kept["size"]) == ("one.tar.gz", "application/gzip", 4)
    assert kept["key"].endswith(".tar.gz")
    assert bytes_of([kept["key"]]) == b"a,b\n"
    assert bytes_of([waiting.output_log]) == LOG


def test_a_log_goes_on_where_the_last_piece_ended(waiting: Step) -> None:
    worker = of(claim(waiting).body)
    worker.send("post", "log/?offset=0", LOG[:10].decode(), content_type="text/plain")

    worker.post("commit/", {**commit(), "log": {"offset": 5, "content": along(LOG[5:])}})

    waiting.refresh_from_db()
    assert bytes_of([waiting.output_log]) == LOG


def test_a_commit_that_comes_twice_keeps_its_outputs_once(waiting: Step) -> None:
    worker = of(claim(waiting).body)
    worker.post("commit/", commit())
    waiting.refresh_from_db()
    before = waiting.result

    again = worker.post("commit/", commit())

    waiting.refresh_from_db()
    assert (again.code, waiting.result) == (OK, before)


def test_a_failure_keeps_them_too(waiting: Step) -> None:
    worker = of(claim(waiting).body)
    told = {
        **commit(),
        "failure_class": FailureClass.MODEL,
        "message": "It failed.",
        "traceback": "",
        "exit_code": 1,
        "signal": None,
    }

    answer = worker.post("fail/", told)

    waiting.refresh_from_db()
    assert answer.code == OK
    assert bytes_of([waiting.output_log]) == LOG


def test_what_comes_late_is_refused(waiting: Step, workers: Workers) -> None:
    worker = of(claim(waiting).body)
    workers.later(3600)
    workers.reap()

    answer = worker.post("commit/", commit())

    assert answer.code == CONFLICT


@pytest.mark.parametrize(
    "content", ["no base64", along(bytes(SMALL_BYTES + 3)), None, 7.5], ids=["text", "large", "null", "number"]
)
def test_what_is_not_small_or_not_bytes_is_refused_with_the_field(waiting: Step, content: str) -> None:
    worker = of(claim(waiting).body)

    answer = worker.post("commit/", commit(content=content))

    waiting.refresh_from_db()
    assert (answer.code, waiting.state) == (BAD_REQUEST, StepState.RUNNING)
    assert set(answer.body["small_outputs"]["0"]) == {"content"}
