"""What stock workers are told is what the wire contract says, sections 4.2 and 4.5."""

from typing import Any

import pytest

from qanat.contract import queues, tasks
from qanat.contract.statuses import RunKind, RunMode
from qanat.server.config.celery import app
from qanat.server.files.storage import storage
from qanat.server.runs import submission
from qanat.server.runs.models import Run, Step
from tests.integration.engine.world import QUEUE
from tests.integration.stock.world import Sent, StockWorld, inputs_result, losses_result, parameters_after

EVERY = {"initiator_id", "analysis_id", "slug", "run_data_uuid"}
LOOKUP = {"loc_file", "analysis_settings_file", "complex_data_files", "reporting_currency", "currency_conversion_json"}
EXPOSURE = {"loc_file", "acc_file", "info_file", "scope_file", "analysis_settings_file", "complex_data_files"}
LOSSES = {"input_location", "analysis_settings_file", "complex_data_files"}
KEYWORDS = {
    "prepare_input_generation_params": LOOKUP,
    "pre_analysis_hook": EXPOSURE,
    "prepare_keys_file_chunk": LOOKUP,
    "collect_keys": LOOKUP,
    "write_input_files": EXPOSURE,
    "cleanup_input_generation": set(),
    "prepare_losses_generation_params": LOSSES | {"num_chunks"},
    "prepare_losses_generation_directory": LOSSES,
    "generate_losses_chunk": LOSSES,
    "generate_losses_output": LOSSES,
    "cleanup_losses_generation": LOSSES,
}


def whole_run(stock: StockWorld, *, chunks: int = 2) -> list[Sent]:
    """Run inputs and losses in V2 to the end, and return all messages."""
    run = stock.submit(1, kind=RunKind.BOTH, mode=RunMode.V2, chunks=chunks)
    found: list[Sent] = []
    while True:
        stock.settle()
        if not stock.sent:
            run.refresh_from_db()
            assert run.state == "succeeded"
            return found
        found.append(stock.sent.pop(0))
        assert stock.done(found[-1], parameters_after(found[-1]))


def test_a_v1_worker_is_told_the_files_of_the_exposure(stock: StockWorld) -> None:
    sent = stock.begin()

    assert (sent.task, sent.queue) == ("generate_input", QUEUE)
    assert sent.message["args"] == [1, "given/location.csv", None, None, None, "given/settings.json", []]
    assert [link["task"] for link in sent.message["link"]] == [tasks.STOCK_DONE]
    assert [link["task"] for link in sent.message["link_error"]] == ["on_error", tasks.STOCK_FAILED]
    assert sent.message["link"][0]["options"]["queue"] == "celery"


def test_a_v1_worker_is_told_currencies_and_data_files_where_there_are_some(
    stock: StockWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"location_file": "a", "currency_conversion_json": "b", "complex_data/wind.bin": "c"}
    submit = submission.submit

    def with_more(**wish: Any) -> Run:  # noqa: ANN401 - as declared
        refs = {
            label: submission.FileRef(key=key, filename=key, content_type="", size=1) for label, key in given.items()
        }
        return submit(**{**wish, "inputs": refs, "parameters": {"reporting_currency": "EUR"}})

    monkeypatch.setattr(submission, "submit", with_more)
    sent = stock.begin()

    data = [{"stored_filename": "c", "original_filename": "wind.bin"}]
    assert sent.message["args"] == [1, "a", None, None, None, None, data, "b", "EUR"]


def test_a_v1_worker_gets_the_inputs_that_it_has_made(stock: StockWorld) -> None:
    first = stock.begin(kind=RunKind.BOTH)
    assert stock.done(first, inputs_result())

    second = stock.next()

    analysis, inputs, settings, data = second.message["args"]
    assert (second.task, analysis, settings, data) == ("run_analysis", 1, "given/settings.json", [])
    assert storage().exists(inputs)
    assert stock.done(second, losses_result())
    stock.settle()
    assert stock.statuses.status[1] == "RUN_COMPLETED"


def test_a_v2_run_is_the_sub_tasks_of_the_contract_with_their_keywords(stock: StockWorld) -> None:
    found = whole_run(stock)

    assert [sent.task for sent in found] == [
        "prepare_input_generation_params",
        "pre_analysis_hook",
        "prepare_keys_file_chunk",
        "prepare_keys_file_chunk",
        "collect_keys",
        "write_input_files",
        "cleanup_input_generation",
        "prepare_losses_generation_params",
        "prepare_losses_generation_directory",
        "generate_losses_chunk",
        "generate_losses_chunk",
        "generate_losses_output",
        "cleanup_losses_generation",
    ]
    for sent in found:
        assert set(sent.kwargs) == EVERY | KEYWORDS[sent.task]
        assert [link["task"] for link in sent.message["chain"]] == [tasks.STOCK_DONE]
        assert sent.message["chain"][0]["options"]["queue"] == "celery-v2"
        assert sent.message["priority"] == 4


@pytest.mark.parametrize("chunks", [1, 3])
def test_a_v2_worker_gets_what_its_predecessors_hand_on(stock: StockWorld, chunks: int) -> None:
    found = {sent.kwargs["slug"]: sent for sent in whole_run(stock, chunks=chunks)}

    def given(slug: str) -> Any:  # noqa: ANN401 - JSON
        return found[slug].message["args"]

    every = range(chunks)
    assert given("prepare-input-generation-params") == [{}]
    for index in every:
        params, *place = given(f"prepare-keys-file-{index}")
        assert (params["by"], place) == ("pre-analysis-hook", [index, chunks])
    assert [part["by"] for part in given("collect-keys")[0]] == [f"prepare-keys-file-{index}" for index in every]
    assert given("write-input-files")[0]["by"] == "collect-keys"
    # Recording lies between.
    assert given("cleanup-input-generation")[0]["by"] == "write-input-files"
    assert [part["by"] for part in given("generate-losses-output")[0]] == [
        f"generate-losses-chunk-{index}" for index in every
    ]
    assert given("cleanup-losses-generation")[0]["by"] == "generate-losses-output"


def test_each_phase_has_a_folder_of_its_own(stock: StockWorld) -> None:
    found = whole_run(stock)

    by_phase = [
        {sent.kwargs["run_data_uuid"] for sent in found if ("losses" in sent.task) is losses}
        for losses in (False, True)
    ]

    assert [len(names) for names in by_phase] == [1, 1]
    assert by_phase[0] != by_phase[1]


def test_the_logs_of_sub_tasks_become_theirs(stock: StockWorld) -> None:
    whole_run(stock)

    logs = Step.objects.filter(server_side=False).values_list("slug", "output_log")

    for slug, key in logs:
        with storage().open(key) as stream:
            assert stream.read().decode() == slug


def test_queues_of_v2_take_priorities_and_those_of_v1_do_not() -> None:
    names = ("a-b-1", "a-b-1-v2", "celery", "celery-v2")

    found = {name: app.amqp.queues.new_missing(name).queue_arguments for name in names}

    priorities = {"x-max-priority": queues.MAX_PRIORITY}
    assert found == {"a-b-1": {}, "a-b-1-v2": priorities, "celery": {}, "celery-v2": priorities}
