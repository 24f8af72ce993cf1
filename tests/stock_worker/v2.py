"""The V2 worker: sub-tasks that hand on parameters and share a folder (wire contract, sections 4.2 to 4.4)."""

import os
import time
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tests.stock_worker import model, wishes
from tests.stock_worker.app import app, say, twice
from tests.stock_worker.storage import shared

if TYPE_CHECKING:
    from celery import Task

Parameters = dict[str, Any]
RETRIES = 2
RETRY_SECONDS = float(os.environ.get("STAND_IN_RETRY_SECONDS", "6"))
Work = Callable[..., Parameters]


def sub_task(work: Work) -> Work:
    """Make a sub-task of a function: it reports its start, leaves a log, and is tried three times."""
    name = work.__name__

    @app.task(bind=True, name=name, max_retries=RETRIES)
    def run(
        self: "Task[Any, Any]",
        /,
        *args: Any,  # noqa: ANN401 - JSON
        initiator_id: int | None,
        analysis_id: int,
        slug: str,
        run_data_uuid: str,
        **kwargs: Any,  # noqa: ANN401 - JSON
    ) -> Parameters:
        # Stock workers find here what follows, and need that there is something.
        assert self.request.chain
        if name == "prepare_input_generation_params":
            say("set_task_status_v2", analysis_id, "INPUTS_GENERATION_STARTED", time.time())
            say("update_task_id", [(self.request.id, analysis_id, slug)])
        if name == "prepare_losses_generation_params":
            say("set_task_status_v2", analysis_id, "RUN_STARTED", time.time())
        say("record_sub_task_start", analysis_id=analysis_id, task_slug=slug, task_id=self.request.id, dt=time.time())
        phase = "losses" if "losses" in name else "files"
        folder = f"analysis-{analysis_id}_{phase}-{run_data_uuid}"
        try:
            wishes.before_work(name)
            found = work(*args, folder=folder, **kwargs)
        except Exception as error:
            log = shared().put(traceback.format_exc().encode(), ".txt")
            if self.request.retries < RETRIES:
                say("subtask_retry_log", analysis_id, initiator_id, slug, self.request.id, log)
                raise self.retry(exc=error, countdown=RETRY_SECONDS) from error
            say("subtask_error_log", analysis_id, initiator_id, slug, self.request.id, log)
            raise
        result = {**found, "log_location": shared().put(f"log of {slug}".encode(), ".txt")}
        twice(self, result)
        return result

    return work


@sub_task
def prepare_input_generation_params(params: Parameters, *, folder: str, **_: Any) -> Parameters:  # noqa: ANN401
    """G1."""
    assert params == {}
    return {"prepared": True}


@sub_task
def pre_analysis_hook(params: Parameters, *, loc_file: str, folder: str, **_: Any) -> Parameters:  # noqa: ANN401
    """G2."""
    assert params["prepared"]
    return {**params, "pre_loc": loc_file}


@sub_task
def prepare_keys_file_chunk(
    params: Parameters,
    index: int,
    count: int,
    *,
    loc_file: str,
    folder: str,
    **_: Any,  # noqa: ANN401
) -> Parameters:
    """G3: the keys of every ``count``-th location."""
    storage = shared()
    assert params["pre_loc"] == loc_file
    rows = model.locations(storage.get(loc_file))[index::count]
    archive = model.pack({"keys.csv": model.keys(rows)})
    name = storage.put(archive, "", name=f"{folder}/lookup-{index + 1}.tar.gz")
    return {**params, "chunk_keys": name}


@sub_task
def collect_keys(params: list[Parameters], *, folder: str, **_: Any) -> Parameters:  # noqa: ANN401
    """G4: a chord's body, which gets what all of its header hands on."""
    storage = shared()
    parts = [model.unpack(storage.get(part["chunk_keys"]))["keys.csv"].splitlines() for part in params]
    lines = [parts[0][0], *(line for part in parts for line in part[1:])]
    keys = storage.put(b"\n".join(lines) + b"\n", "", name=f"{folder}/keys-data.csv")
    return {**params[0], "keys_data": keys}


@sub_task
def write_input_files(params: Parameters, *, loc_file: str, folder: str, **_: Any) -> Parameters:  # noqa: ANN401
    """G5."""
    storage = shared()
    keys = storage.get(params["keys_data"])
    archive = model.pack({"location.csv": storage.get(loc_file), "keys.csv": keys})
    return {
        **params,
        "output_location": wishes.said("name-as-input") or storage.put(archive, ".tar.gz"),
        "lookup_error_location": storage.put(model.table([], "loc_id", "message"), ".csv"),
        "lookup_success_location": storage.put(keys, ".csv"),
        "lookup_validation_location": storage.put(b"{}", ".json"),
        "summary_levels_location": storage.put(b"{}", ".json"),
    }


@sub_task
def cleanup_input_generation(params: Parameters, *, folder: str, **_: Any) -> Parameters:  # noqa: ANN401
    """G7."""
    assert params["output_location"]
    shared().remove(folder)
    return params


@sub_task
def prepare_losses_generation_params(params: Parameters, *, num_chunks: int, folder: str, **_: Any) -> Parameters:  # noqa: ANN401
    """L1."""
    return {"num_chunks": num_chunks}


@sub_task
def prepare_losses_generation_directory(
    params: Parameters,
    *,
    input_location: str,
    analysis_settings_file: str,
    folder: str,
    **_: Any,  # noqa: ANN401
) -> Parameters:
    """L2."""
    storage = shared()
    storage.get(analysis_settings_file)
    keys = model.unpack(storage.get(input_location))["keys.csv"]
    archive = model.pack({"keys.csv": keys})
    return {**params, "run_location": storage.put(archive, "", name=f"{folder}/run_directory.tar.gz")}


@sub_task
def generate_losses_chunk(params: Parameters, index: int, count: int, *, folder: str, **_: Any) -> Parameters:  # noqa: ANN401
    """L3."""
    assert count == params["num_chunks"]
    storage = shared()
    keys = model.unpack(storage.get(params["run_location"]))["keys.csv"].splitlines()
    mine = b"\n".join([keys[0], *keys[1:][index::count]]) + b"\n"
    archive = model.pack({"losses.csv": model.losses(mine)})
    return {**params, "work": storage.put(archive, "", name=f"{folder}/work-{index + 1}.tar.gz")}


@sub_task
def generate_losses_output(params: list[Parameters], *, folder: str, **_: Any) -> Parameters:  # noqa: ANN401
    """L4: a chord's body."""
    storage = shared()
    parts = [model.unpack(storage.get(part["work"]))["losses.csv"].splitlines() for part in params]
    lines = [parts[0][0], *sorted(line for part in parts for line in part[1:])]
    output = model.pack({"output/gul_S1.csv": b"\n".join(lines) + b"\n"})
    return {
        **params[0],
        "output_location": storage.put(output, ".tar.gz"),
        "run_logs": storage.put(model.pack({"log/kernel.log": b"kernel"}), ".tar.gz"),
    }


@sub_task
def cleanup_losses_generation(params: Parameters, *, folder: str, **_: Any) -> Parameters:  # noqa: ANN401
    """L6."""
    shared().remove(folder)
    return params
