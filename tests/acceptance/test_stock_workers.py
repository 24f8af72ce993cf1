"""Stand-ins for stock workers complete runs, also when they are killed, slow or say things twice."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from celery import Celery

from qanat.cli.up.platform import Platform
from tests import rabbitmq
from tests.acceptance.faults import wait
from tests.acceptance.stock_workers import FIRST, LAST, LEASE_SECONDS, LOSSES, Analyses, StandIn
from tests.waiting import NotInTime, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.xdist_group("stock workers")]


@pytest.fixture(scope="module")
def broker_url() -> Iterator[str]:
    """A RabbitMQ."""
    if rabbitmq.programme() is None:
        pytest.skip("RabbitMQ is not installed: apt-get install rabbitmq-server")
    with rabbitmq.server() as url:
        yield url


def test_a_stock_worker_completes_inputs_and_losses(worker: StandIn, analyses: Analyses) -> None:
    analysis = analyses.create(worker)

    shown = analyses.run(analysis)

    assert analyses.losses(analysis) == LOSSES
    assert shown["run_mode"] == worker.mode.upper()
    files = ("input_file", "lookup_errors_file", "lookup_success_file", "lookup_validation_file", "output_file")
    assert [name for name in (*files, "summary_levels_file", "run_log_file") if not shown[name]] == []
    assert "log of" in analyses.text(analysis, "input_generation_traceback_file")


def test_nothing_is_left_in_the_shared_storage_once_an_analysis_is_deleted(
    worker: StandIn, analyses: Analyses, stock_platform: Platform
) -> None:
    media = stock_platform.layout.root / "media"

    def stored() -> set[Path]:
        return {path for path in media.rglob("*") if path.is_file()}

    analyses.model(worker)
    until(analyses.are_tidied_up, what="earlier runs are tidied up")
    before = stored()
    analysis = analyses.create(worker)
    analyses.run(analysis)
    until(analyses.are_tidied_up, what="the run is tidied up")
    assert stored() > before

    analyses.client._http.delete(f"v2/analyses/{analysis}/").raise_for_status()

    left: set[Path] = set()

    def nothing_is_left() -> bool:
        left.clear()
        left.update(stored() - before)
        return not left

    try:
        until(nothing_is_left, what="nothing is left")
    except NotInTime:
        pytest.fail(f"left: {sorted(map(str, left))}")


def test_a_run_is_shown_as_begun_when_the_worker_begins(worker: StandIn, analyses: Analyses) -> None:
    analysis = analyses.create(worker)
    worker.wish(f"wait-{FIRST[worker.mode]}")

    analyses.ask(analysis, "generate_inputs")
    until(lambda: worker.is_waiting(FIRST[worker.mode]), what="the worker begins")

    analyses.reaches(analysis, "INPUTS_GENERATION_STARTED")
    worker.wish("go-on")
    analyses.reaches(analysis, "READY")


@pytest.mark.parametrize("phase", ["inputs", "losses"])
def test_a_run_outlives_the_death_of_its_worker(phase: str, worker: StandIn, analyses: Analyses) -> None:
    analysis = analyses.create(worker)
    inputs = phase == "inputs"
    if not inputs:
        analyses.ask(analysis, "generate_inputs")
        analyses.reaches(analysis, "READY")
    worker.wish(f"die-{(FIRST if inputs else LAST)[worker.mode]}")

    analyses.ask(analysis, "generate_inputs" if inputs else "run")
    worker.wait_for_death()
    worker.start()

    if inputs:
        analyses.reaches(analysis, "READY")
    else:
        until(lambda: analyses.get(analysis)["status"] == "RUN_COMPLETED", what="the run ends")
        assert analyses.losses(analysis) == LOSSES


def test_a_slow_worker_keeps_its_step_for_as_long_as_it_works(worker: StandIn, analyses: Analyses) -> None:
    task = FIRST[worker.mode]
    analysis = analyses.create(worker, chunks=1)
    before = worker.received(task)
    worker.wish(f"wait-{task}")
    analyses.ask(analysis, "generate_inputs")
    until(lambda: worker.is_waiting(task), what="the worker begins")

    wait(2.5 * LEASE_SECONDS)
    worker.wish("go-on")

    analyses.reaches(analysis, "READY")
    assert worker.received(task) == before + 1


def test_an_answer_that_comes_twice_counts_once(worker: StandIn, analyses: Analyses) -> None:
    analysis = analyses.create(worker)
    for task in (FIRST[worker.mode], LAST[worker.mode]):
        worker.wish(f"twice-{task}")

    analyses.run(analysis)

    assert analyses.losses(analysis) == LOSSES
    assert not (worker.folder / f"twice-{LAST[worker.mode]}").exists()


def test_a_failure_is_shown_with_its_traceback(worker: StandIn, analyses: Analyses) -> None:
    task = FIRST[worker.mode]
    analysis = analyses.create(worker, chunks=1)
    worker.wish(f"fail-{task}", "the model is unwell")

    analyses.ask(analysis, "generate_inputs")

    analyses.reaches(analysis, "INPUTS_GENERATION_ERROR")
    assert "RuntimeError: the model is unwell" in analyses.tracebacks(analysis)
    worker.forget()
    analyses.run(analysis)
    assert analyses.losses(analysis) == LOSSES


def test_what_is_cancelled_is_stopped(worker: StandIn, analyses: Analyses) -> None:
    task = FIRST[worker.mode]
    analysis = analyses.create(worker, chunks=1)
    worker.wish(f"wait-{task}")
    analyses.ask(analysis, "generate_inputs")
    until(lambda: worker.is_waiting(task), what="the worker begins")
    ended = worker.log.read_text().count("Terminating")

    analyses.ask(analysis, "cancel")

    assert analyses.get(analysis)["status"] == "INPUTS_GENERATION_CANCELLED"
    until(lambda: worker.log.read_text().count("Terminating") > ended, what="the worker stops it")
    worker.forget()
    analyses.run(analysis)
    assert analyses.losses(analysis) == LOSSES


def test_a_hostile_worker_fails_with_a_file_that_is_not_its_own(worker: StandIn, analyses: Analyses) -> None:
    analysis = analyses.create(worker)
    links = analyses.client.get(f"portfolios/{analyses.portfolio}/storage_links/")
    worker.wish("name-as-input", links["location_file"])

    analyses.ask(analysis, "generate_inputs")

    analyses.reaches(analysis, "INPUTS_GENERATION_ERROR")
    assert "belongs to somebody else" in analyses.tracebacks(analysis)
    worker.forget()
    analyses.run(analysis)
    assert analyses.losses(analysis) == LOSSES


def test_messages_of_a_hostile_worker_neither_end_nor_alter_the_run_of_another(
    worker: StandIn, analyses: Analyses
) -> None:
    task = FIRST[worker.mode]
    analysis = analyses.create(worker, chunks=1)
    worker.wish(f"wait-{task}")
    analyses.ask(analysis, "generate_inputs")
    until(lambda: worker.is_waiting(task), what="the worker begins")
    until(lambda: not analyses.get(analysis)["status_count"]["QUEUED"], what="the platform has heard of it")
    before = analyses.get(analysis)

    with Celery("hostile", broker=worker.broker, amqp="qanat.amqp:Amqp", set_as_current=False) as hostile:
        for queue in ("celery", "celery-v2"):
            send = partial(hostile.send_task, queue=queue, ignore_result=True)
            for status in ("READY", "INPUTS_GENERATION_ERROR", "RUN_COMPLETED"):
                send("set_task_status", [analysis, status])
                send("set_task_status_v2", [analysis, status, 0.0])
            send("record_input_error_files", [{}], {"analysis_id": analysis})
            for step in range(1, 300):
                send("qanat.stock_done", [{"output_location": "x"}], {"token": f"[{step}, 1]"})
                send("qanat.stock_traceback", [str(step), 1, "ended"])
        # What comes after them has been taken after them.
        send("run_register_worker", ["Hostile", f"After{analysis}", "1", None, {"platform": "2.5.6"}], queue="celery")
        send("run_register_worker", ["Hostile", f"AfterV2{analysis}", "1", None, {}], queue="celery-v2")
    for model in (f"After{analysis}", f"AfterV2{analysis}"):
        until(partial(analyses.client.get, "models/", model_id=model), what="all messages are taken")

    assert {**analyses.get(analysis), "modified": ""} == {**before, "modified": ""}
    worker.wish("go-on")
    analyses.reaches(analysis, "READY")
