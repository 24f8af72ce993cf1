"""The V1 worker: one task a phase (wire contract, section 4.5)."""

from typing import Any

from celery import Task, signature

from tests.stock_worker import model, wishes
from tests.stock_worker.app import app, say, twice
from tests.stock_worker.storage import shared

Files = list[dict[str, str]]


@app.task(bind=True, name="generate_input")
def generate_input(
    self: "Task[Any, Any]",
    analysis_pk: int,
    loc: str | None,
    acc: str | None,
    info: str | None,
    scope: str | None,
    settings: str | None,
    complex_data_files: Files,
    currency_json: str | None = None,
    reporting_currency: str | None = None,
) -> list[Any]:
    """Return the input archive, four reports, the log and the return code."""
    say("set_task_status", analysis_pk, "INPUTS_GENERATION_STARTED")
    wishes.before_work("generate_input")
    storage = shared()
    assert loc is not None
    exposure = storage.get(loc)
    found = model.keys(model.locations(exposure))
    files = {"location.csv": exposure, "keys.csv": found}
    for data in complex_data_files:
        files[f"user-data/{data['original_filename']}"] = storage.get(data["stored_filename"])
    if currency_json:
        files["currency_conversion.json"] = storage.get(currency_json)
    code = 0
    if wishes.said("no-keys"):
        say("set_task_status", analysis_pk, "INPUTS_GENERATION_NO_KEYS")
        code = 1
    if wishes.said("return-code"):
        code = int(wishes.said("return-code"))
    result = [
        wishes.said("name-as-input") or storage.put(model.pack(files), ".tar.gz"),
        storage.put(model.table([], "loc_id", "message"), ".csv"),
        storage.put(found, ".csv"),
        storage.put(b"{}", ".json"),
        storage.put(b"{}", ".json"),
        storage.put(f"V1 log of analysis {analysis_pk}".encode(), ".txt"),
        code,
    ]
    twice(self, result)
    return result


@app.task(bind=True, name="run_analysis")
def run_analysis(
    self: "Task[Any, Any]", analysis_pk: int, inputs: str, settings: str | None, complex_data_files: Files
) -> list[Any]:
    """Return the output archive, the log, the kernel's logs and the return code."""
    say("set_task_status", analysis_pk, "RUN_STARTED")
    wishes.before_work("run_analysis")
    storage = shared()
    found = model.unpack(storage.get(inputs))["keys.csv"]
    assert settings is not None
    storage.get(settings)
    result = [
        storage.put(model.pack({"output/gul_S1.csv": model.losses(found)}), ".tar.gz"),
        storage.put(b"V1 losses", ".txt"),
        storage.put(model.pack({"log/kernel.log": b"kernel"}), ".tar.gz"),
        0,
    ]
    twice(self, result)
    return result


@app.task(name="on_error")
def on_error(
    request: Any,  # noqa: ANN401 - Celery's
    error: Exception,
    traceback: str,
    record_task_name: str,
    analysis_pk: object,
    initiator_pk: object,
) -> None:
    """Hand a failure on."""
    signature(record_task_name, args=(analysis_pk, initiator_pk, str(traceback)), queue="celery", app=app).apply_async()
