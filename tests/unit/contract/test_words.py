"""Names are those of the wire contract, and each stands for one thing."""

import importlib
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import pytest

from qanat.contract import labels, oed, statuses, tasks, worker_protocol
from qanat.server.api.workers import urls


def names_in(module: object) -> dict[str, str]:
    return {name: value for name, value in vars(module).items() if name.isupper() and isinstance(value, str)}


@pytest.mark.parametrize("module", ["qanat.contract.tasks", "qanat.contract.labels", "qanat.contract.queues"])
def test_no_two_names_stand_for_the_same(module: str) -> None:
    names = names_in(importlib.import_module(module))

    assert len(names) > 4
    assert len(set(names.values())) == len(names)


def test_registration_has_the_names_that_stock_workers_send() -> None:
    assert (tasks.REGISTER_V1, tasks.REGISTER_V2) == ("run_register_worker", "run_register_worker_v2")


def test_a_message_is_known_from_the_contract_or_marked_as_our_own() -> None:
    names = set(names_in(tasks).values())

    own = {name for name in names if name.startswith("qanat.")}

    assert own
    assert names - own == {
        "run_register_worker",
        "run_register_worker_v2",
        "generate_input",
        "run_analysis",
        "record_generate_input_result",
        "record_run_analysis_result",
        "prepare_input_generation_params",
        "pre_analysis_hook",
        "prepare_keys_file_chunk",
        "collect_keys",
        "write_input_files",
        "record_input_files",
        "cleanup_input_generation",
        "prepare_losses_generation_params",
        "prepare_losses_generation_directory",
        "generate_losses_chunk",
        "generate_losses_output",
        "record_losses_files",
        "cleanup_losses_generation",
        "run_oed_validation",
        "run_exposure_run",
        "run_exposure_transform",
        "run_combine",
        "set_task_status",
        "set_task_status_v2",
        "record_sub_task_start",
        "update_task_id",
        "set_subtask_status",
        "subtask_error_log",
        "subtask_retry_log",
        "record_input_error_files",
        "record_losses_error_files",
        "on_error",
    }


def test_sub_tasks_have_the_statuses_that_clients_know() -> None:
    shown = [str(status) for status in statuses.SubTaskStatus]

    assert shown == ["PENDING", "QUEUED", "STARTED", "COMPLETED", "CANCELLED", "ERROR"]


def test_the_parts_of_what_is_made_in_parallel_are_numbered() -> None:
    assert [labels.chunk(labels.KEYS_CHUNK, index) for index in range(3)] == ["keys-0", "keys-1", "keys-2"]


def test_the_documented_routes_of_the_worker_protocol_are_those_that_the_server_has() -> None:
    table = [line.split() for line in str(worker_protocol.__doc__).splitlines() if " workers/" in line]

    documented = {words[1].removeprefix("workers/").split("?")[0] for words in table}

    served = {str(entry.pattern) for entry in urls.urlpatterns}
    assert documented == {route.replace("<int:step_id>", "{id}").replace("<path:label>", "{label}") for route in served}
    assert len(table) == len(served)


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Have ods-tools bring these files."""

    def install(*names: str) -> None:
        (tmp_path / "data").mkdir()
        for name in names:
            (tmp_path / "data" / name).write_text("{}")
        monkeypatch.setattr(resources, "files", lambda _: tmp_path)

    return install


def test_the_newest_edition_of_oed_is_found_by_number(installed: Callable[..., None]) -> None:
    installed(*(f"OpenExposureData_{version}Spec.json" for version in ("9.0.0", "10.1.0", "10.0.12")), "readme.md")

    assert oed.latest_schema_version() == "10.1.0"


def test_ods_tools_without_an_edition_of_oed_is_said_to_have_none(installed: Callable[..., None]) -> None:
    installed("readme.md")

    assert oed.latest_schema_version() == "not installed"


def test_without_ods_tools_there_is_no_edition_of_oed(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(package: str) -> Path:
        raise ModuleNotFoundError(package)

    monkeypatch.setattr(resources, "files", nothing)

    assert oed.latest_schema_version() == "not installed"
