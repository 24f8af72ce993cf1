"""What stock workers say ends their own steps, once, and changes nothing else."""

from pathlib import Path
from typing import Any

import pytest
from celery.exceptions import Retry
from django.core import signing

from qanat.contract import tasks
from qanat.contract.statuses import AnalysisStatus, RunKind, RunMode, StepState
from qanat.server.api.workers import tokens as http_tokens
from qanat.server.files.models import StoredFile
from qanat.server.files.storage import storage
from qanat.server.runs.models import Event, Run, Step
from qanat.server.runs.stock import answers, tokens
from qanat.server.runs.stock.tasks import stock_done, stock_failed
from tests.factories import make_file
from tests.integration.stock.world import STOCK_LEASE, StockWorld, inputs_result, parameters_after, put


def everything() -> list[object]:
    """Return all that an answer could have changed."""
    rows = [list(table.objects.order_by("pk").values()) for table in (Run, Event, StoredFile)]
    # Which files are to be removed with the run is no matter of the run.
    steps = [{**step, "resources": None} for step in Step.objects.order_by("pk").values()]
    return [*rows, steps]


def test_an_answer_without_any_sign_of_life_before_is_taken(stock: StockWorld) -> None:
    sent = stock.begin()

    assert stock.done(sent, inputs_result())

    stock.settle()
    assert stock.statuses.status[1] == AnalysisStatus.READY


def test_an_answer_that_comes_again_changes_nothing(stock: StockWorld) -> None:
    sent = stock.begin()
    assert stock.done(sent, inputs_result())
    before = everything()

    assert not stock.done(sent, inputs_result())
    assert not stock.failed(sent)

    assert everything() == before


def test_a_message_that_others_overtake_forgets_nothing_of_what_they_said(
    stock: StockWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = stock.begin(mode=RunMode.V2)
    begun = answers._begun

    def overtaken(step: Step, **who: Any) -> Step:  # noqa: ANN401 - as it came
        monkeypatch.setattr(answers, "_begun", begun)
        assert stock.hint(sent.task_id, tasks.SUBTASK_ERROR_LOG, put(".txt"))
        return begun(step, **who)

    monkeypatch.setattr(answers, "_begun", overtaken)
    assert stock.hint(sent.task_id)

    assert {"originals", answers.ERROR_LOG} <= sent.step.resources.keys()


def test_the_files_of_an_answer_that_is_refused_go_with_the_run(
    stock: StockWorld, django_capture_on_commit_callbacks: object
) -> None:
    sent = stock.begin()
    taken, refused = inputs_result(), inputs_result()
    assert stock.done(sent, taken)
    assert not stock.done(sent, refused)

    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[operator] # pytest-django's
        stock.settle()

    assert stock.run_of(sent).state == "succeeded"
    assert [key for key in (*taken, *refused) if isinstance(key, str) and storage().exists(key)] == []


def test_an_answer_after_the_step_was_given_to_another_is_refused(stock: StockWorld) -> None:
    late = stock.begin()
    stock.hint(late.task_id)
    stock.later(STOCK_LEASE.total_seconds() + 1)
    assert stock.reap() == 1
    again = stock.next()
    before = everything()

    assert not stock.done(late, inputs_result())
    assert not stock.hint(late.task_id)

    assert everything() == before
    assert again.task_id != late.task_id
    assert stock.done(again, inputs_result())


def test_a_step_that_loses_three_workers_is_set_aside(stock: StockWorld) -> None:
    stock.submit(1, kind=RunKind.INPUTS, mode=RunMode.V1)
    for _ in range(3):
        stock.hint(stock.next().task_id)
        stock.later(STOCK_LEASE.total_seconds() + 1)
        stock.reap()

    assert stock.statuses.status[1] == AnalysisStatus.INPUTS_GENERATION_ERROR


def test_an_answer_after_the_run_was_cancelled_is_refused_and_its_task_is_revoked(
    stock: StockWorld, django_capture_on_commit_callbacks: object
) -> None:
    sent = stock.begin()
    stock.hint(sent.task_id)
    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[operator] # pytest-django's
        stock.cancel(1)
    before = everything()

    assert not stock.done(sent, inputs_result())

    assert stock.revoked == [sent.task_id]
    assert everything() == before
    assert stock.statuses.status[1] == AnalysisStatus.INPUTS_GENERATION_CANCELLED


@pytest.mark.parametrize("forged", ["", "made up", "{}", None])
def test_an_answer_with_a_made_up_token_is_refused(stock: StockWorld, forged: object) -> None:
    stock.hint(stock.begin().task_id)
    before = everything()

    stock_done(inputs_result(), token=forged)
    stock_failed("task id", token=forged)

    assert everything() == before


def test_a_token_ends_its_own_step_and_opens_nothing_else(stock: StockWorld) -> None:
    mine, other = stock.begin(analysis=1), stock.begin(analysis=2)
    victim = other.step
    forged = signing.Signer(salt=tokens.SIGNER.salt, key="a key of the worker's own").sign_object(
        [victim.pk, victim.fence]
    )
    http = http_tokens.step_token(step_id=victim.pk, fence=victim.fence)

    assert not stock.done(forged, inputs_result())
    assert not stock.done(http, inputs_result())
    assert stock.done(mine, inputs_result())

    assert other.step.state == StepState.SENT
    assert mine.step.state == StepState.SUCCEEDED


def test_a_sign_of_life_claims_the_step_that_sent_it_and_no_other(stock: StockWorld) -> None:
    mine, other = stock.begin(analysis=1), stock.begin(analysis=2)

    # It names the other's analysis.
    stock.hint(mine.task_id, tasks.SET_TASK_STATUS, 2, "RUN_COMPLETED")

    assert stock.statuses.status[1] == AnalysisStatus.INPUTS_GENERATION_STARTED
    assert stock.statuses.status[2] == AnalysisStatus.INPUTS_GENERATION_QUEUED
    assert other.step.state == StepState.SENT


@pytest.mark.parametrize("name", ["", "0" * 32, "1"])
def test_a_message_that_no_task_sent_changes_nothing(stock: StockWorld, name: str) -> None:
    stock.begin()
    before = everything()

    assert not stock.hint(name, tasks.SET_TASK_STATUS, 1, "INPUTS_GENERATION_ERROR")

    assert everything() == before


def test_signs_of_life_end_nothing_whatever_they_say(stock: StockWorld) -> None:
    sent = stock.begin()

    for status in (*AnalysisStatus, "COMPLETED", "nonsense"):
        stock.hint(sent.task_id, tasks.SET_TASK_STATUS, 1, status)

    assert sent.step.state == StepState.RUNNING
    assert stock.statuses.status[1] == AnalysisStatus.INPUTS_GENERATION_STARTED


def test_signs_of_life_extend_the_lease(stock: StockWorld) -> None:
    sent = stock.begin()
    stock.hint(sent.task_id)
    for _ in range(5):
        stock.later(STOCK_LEASE.total_seconds() - 1)
        assert stock.hint(sent.task_id, tasks.SET_SUBTASK_STATUS)
        assert stock.reap() == 0

    assert stock.done(sent, inputs_result())
    assert sent.step.attempt == 1


def stranger(kind: str, tmp_path: Path, stock: StockWorld) -> str:
    """Return how a file is named that is not the worker's to give."""
    root = storage().local_path("x").parent  # type: ignore[union-attr] # tests keep files in a directory
    if kind == "a user's file":
        return make_file().key
    if kind == "a file of another run":
        other = stock.begin(analysis=7)
        assert stock.done(other, inputs_result())
        stock.settle()
        outputs = other.step.result["outputs"]
        return str(outputs["input_file"]["key"])
    if kind == "a link to a file of the server":
        (tmp_path / "secret").write_text("secret")
        name = f"{'a' * 31}b.txt"
        root.mkdir(parents=True, exist_ok=True)
        (root / name).unlink(missing_ok=True)
        (root / name).symlink_to(tmp_path / "secret")
        return name
    return {
        "a path upwards": "../secret_key",
        "an absolute path": "/etc/passwd",
        "an address": "http://169.254.169.254/latest",
        "a folder": "runs",
        "nothing": "0" * 32 + ".csv",
    }[kind]


@pytest.mark.parametrize(
    "kind",
    [
        "a user's file",
        "a file of another run",
        "a link to a file of the server",
        "a path upwards",
        "an absolute path",
        "an address",
        "a folder",
        "nothing",
    ],
)
def test_a_worker_that_names_a_file_that_is_not_its_own_fails(kind: str, stock: StockWorld, tmp_path: Path) -> None:
    named = stranger(kind, tmp_path, stock)
    before = list(StoredFile.objects.values())
    there = kind in {"a user's file", "a file of another run"}
    sent = stock.begin()

    assert stock.done(sent, inputs_result(archive=named))

    assert stock.statuses.status[1] == AnalysisStatus.INPUTS_GENERATION_ERROR
    assert "The worker names" in Run.objects.get(pk=sent.step.run_id).error["message"]
    assert list(StoredFile.objects.values()) == before
    assert not there or storage().exists(named)


@pytest.mark.parametrize(
    "result",
    [None, "done", {}, [], [None] * 6, [*([None] * 6), 0, None, None], [None, None, None, None, None, None, 0]],
)
def test_a_v1_result_of_another_form_fails(stock: StockWorld, result: object) -> None:
    sent = stock.begin()

    assert stock.done(sent, result)

    assert stock.statuses.status[1] == AnalysisStatus.INPUTS_GENERATION_ERROR


@pytest.mark.parametrize(
    "result",
    [None, [], "done", {"text": "\0"}, {"text": "x" * 2**20}, {"number": float("nan")}, {"text": "\ud800"}],
)
def test_a_v2_result_of_another_form_fails(stock: StockWorld, result: object) -> None:
    sent = stock.begin(mode=RunMode.V2)

    assert stock.done(sent, result)

    assert stock.statuses.status[1] == AnalysisStatus.INPUTS_GENERATION_ERROR


def test_a_return_code_other_than_nought_is_a_failure_with_what_was_saved(stock: StockWorld) -> None:
    sent = stock.begin()

    assert stock.done(sent, inputs_result(code=1))

    assert stock.statuses.status[1] == AnalysisStatus.INPUTS_GENERATION_ERROR
    assert sent.step.retries == 0


def test_that_no_location_has_a_key_is_said_before_the_failure(stock: StockWorld) -> None:
    sent = stock.begin()
    stock.hint(sent.task_id, tasks.SET_TASK_STATUS, 1, "INPUTS_GENERATION_NO_KEYS")

    assert stock.done(sent, inputs_result(code=1))

    assert stock.statuses.status[1] == AnalysisStatus.INPUTS_GENERATION_NO_KEYS


def test_losses_end_in_error_even_where_their_worker_speaks_of_keys(stock: StockWorld) -> None:
    inputs = stock.begin(kind=RunKind.BOTH)
    stock.done(inputs, stock.honest_result(inputs))
    losses = stock.next()
    stock.hint(losses.task_id, tasks.SET_TASK_STATUS, 1, "INPUTS_GENERATION_NO_KEYS")

    assert stock.failed(losses)

    assert stock.statuses.status[1] == AnalysisStatus.RUN_ERROR


def test_a_failure_tells_what_its_worker_sent_before(stock: StockWorld) -> None:
    sent = stock.begin(mode=RunMode.V2)
    stock.hint(sent.task_id, tasks.SUBTASK_RETRY_LOG, 1, 1, sent.kwargs["slug"], sent.task_id, put(".txt"))
    stock.hint(sent.task_id, tasks.SUBTASK_ERROR_LOG, 1, 1, sent.task_id, put(".txt", b"Traceback: the wind blew"))

    assert stock.failed(sent, text="")

    step = sent.step
    with storage().open(step.error_log) as stream:
        assert b"Traceback: the wind blew" in stream.read()
    assert (step.state, step.retries) == (StepState.FAILED, 1)


def test_a_failure_waits_a_moment_for_its_traceback(stock: StockWorld) -> None:
    sent = stock.begin(mode=RunMode.V2)
    stock.hint(sent.task_id)

    with pytest.raises(Retry):
        stock_failed("task id", token=sent.token)
    assert sent.step.state == StepState.RUNNING

    stock.hint(sent.task_id, tasks.SUBTASK_ERROR_LOG, put(".txt", b"Traceback"))
    stock_failed("task id", token=sent.token)
    assert sent.step.state == StepState.FAILED


def test_a_traceback_may_hold_anything(stock: StockWorld) -> None:
    sent = stock.begin()

    assert stock.failed(sent, text="\0 \ud800 the end")

    with storage().open(sent.step.error_log) as stream:
        assert b"the end" in stream.read()


def test_a_failed_chunk_ends_its_siblings(stock: StockWorld) -> None:
    sent = stock.begin(mode=RunMode.V2)
    for _ in range(2):
        assert stock.done(sent, parameters_after(sent))
        sent = stock.next()
    sibling = stock.sent.pop(0)

    assert stock.failed(sent)

    assert not stock.done(sibling, parameters_after(sibling))
    assert sibling.step.state == StepState.CANCELLED


def test_nothing_is_taken_over_from_an_earlier_run(stock: StockWorld) -> None:
    sent = stock.begin(mode=RunMode.V2)
    assert stock.done(sent, parameters_after(sent))
    stock.cancel(1)
    stock.sent.clear()

    again = stock.begin(mode=RunMode.V2)

    assert again.task == tasks.PREPARE_INPUT_GENERATION_PARAMS


def test_a_message_is_sent_again_with_the_same_id_and_less_and_less_often(stock: StockWorld) -> None:
    first = stock.begin()
    stock.later(59)
    stock.control()
    assert stock.sent == []

    stock.later(2)
    again = stock.next()
    stock.later(61)
    stock.control()

    # The tokens themselves tell, too, in which second they were made.
    assert again.task_id == first.task_id
    assert tokens.step_and_fence(again.token) == tokens.step_and_fence(first.token)
    assert stock.sent == []
