"""What processes send each other survives the way, and old and new processes understand each other."""

import json
from inspect import signature
from types import UnionType
from typing import Any, NotRequired, Union, get_args, get_origin, get_type_hints, is_typeddict

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kombu.utils.json import dumps, loads
from rest_framework.serializers import Serializer

from qanat.contract import tasks, worker_protocol
from qanat.server.api.workers import serializers
from qanat.server.risk_models.tasks import register_v1, register_v2
from qanat.server.runs.tasks import record_step

FINITE = st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | FINITE | st.text(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=3,
)
FREE_OR_FINITE: dict[Any, st.SearchStrategy[Any]] = {Any: JSON, float: FINITE}
PAYLOADS = {
    name: item
    for module in (tasks, worker_protocol)
    for name, item in vars(module).items()
    if is_typeddict(item) and item.__module__ == module.__name__
}

# Fields may be added to this table and to the payloads, but never be taken away: workers of an older release live on.
FIELDS = {
    "StepDoorbell": {"step_id", "fence"},
    "WorkDoorbell": {"step_id", "fence", "alone"},
    "WorkerVersions": {"oasislmf", "ktools", "platform"},
    "Registration": {"supplier", "model", "version", "settings", "versions", "config"},
    "Hello": {"worker", "queues", "slots", "draining", "versions"},
    "HelloAnswer": {"every_seconds"},
    "Claim": {"fence", "worker"},
    "InputFile": {"label", "filename", "content_type", "size"},
    "StepSpec": {
        "step_id",
        "run_id",
        "analysis_id",
        "task",
        "slug",
        "index",
        "count",
        "loss_chunks",
        "attempt",
        "fence",
        "token",
        "lease_seconds",
        "parameters",
        "inputs",
        "outputs",
    },
    "Resources": {"peak_memory_bytes", "cpu_seconds", "run_seconds", "disk_bytes", "events_done", "events_total"},
    "Heartbeat": {"fence", "resources", "events_done", "events_total"},
    "HeartbeatAnswer": {"verdict"},
    "OutputFile": {"label", "key", "filename", "content_type", "size"},
    "SmallOutput": {"label", "filename", "content"},
    "LogPiece": {"offset", "content"},
    "LastWord": {"fence", "outputs", "small_outputs", "log", "resources"},
    "Commit": {"fence", "outputs", "small_outputs", "log", "result", "resources"},
    "Failure": {
        "fence",
        "failure_class",
        "message",
        "traceback",
        "exit_code",
        "signal",
        "resources",
        "outputs",
        "small_outputs",
        "log",
        "no_keys",
    },
    "Refusal": {"detail"},
}


def values(hint: Any) -> st.SearchStrategy[Any]:  # noqa: ANN401 - whatever a field may be
    """Return what a field of this type may hold."""
    arguments = get_args(hint)
    if is_typeddict(hint):
        fields = {name: values(field) for name, field in get_type_hints(hint).items()}
        needed = {name: fields[name] for name in hint.__required_keys__}
        return st.fixed_dictionaries(needed, optional={name: fields[name] for name in hint.__optional_keys__})
    if get_origin(hint) is list:
        return st.lists(values(arguments[0]), max_size=3)
    if get_origin(hint) is dict:
        return st.dictionaries(values(arguments[0]), values(arguments[1]), max_size=3)
    if get_origin(hint) in {Union, UnionType}:
        return st.one_of([values(argument) for argument in arguments])
    if get_origin(hint) is NotRequired:
        return values(arguments[0])
    return FREE_OR_FINITE[hint] if hint in FREE_OR_FINITE else st.from_type(hint)


@pytest.mark.parametrize("name", PAYLOADS)
@given(data=st.data())
def test_a_payload_comes_out_of_json_as_it_went_in(name: str, data: st.DataObject) -> None:
    payload = data.draw(values(PAYLOADS[name]))

    assert json.loads(json.dumps(payload)) == payload


@pytest.mark.parametrize("name", ["StepDoorbell", "WorkDoorbell", "Registration"])
@given(data=st.data())
def test_a_message_comes_out_of_the_broker_as_it_went_in(name: str, data: st.DataObject) -> None:
    message = data.draw(values(PAYLOADS[name]))

    assert loads(dumps(message)) == message


def test_every_payload_is_in_the_table_of_fields() -> None:
    assert set(PAYLOADS) == set(FIELDS)


@pytest.mark.parametrize("name", FIELDS)
def test_no_field_of_a_payload_has_been_taken_away(name: str) -> None:
    gone = FIELDS[name] - set(get_type_hints(PAYLOADS[name]))

    assert gone == set()


def test_a_doorbell_carries_ids_and_never_facts() -> None:
    hints = get_type_hints(tasks.StepDoorbell)

    assert set(hints.values()) == {int}


def test_whoever_answers_a_doorbell_takes_all_that_it_carries() -> None:
    taken = signature(record_step.run).parameters

    assert set(taken) == set(get_type_hints(tasks.StepDoorbell))


def test_a_registrations_fields_are_the_positions_of_its_arguments() -> None:
    fields = list(get_type_hints(tasks.Registration))

    assert list(signature(register_v2.run).parameters) == fields
    assert list(signature(register_v1.run).parameters) == fields[:-1]


@pytest.mark.parametrize(
    ("name", "checks", "from_the_token"),
    [
        ("Hello", serializers.HelloFields, set()),
        ("Claim", serializers.ClaimFields, set()),
        ("Heartbeat", serializers.HeartbeatFields, {"fence"}),
        ("OutputFile", serializers.OutputFields, set()),
        ("Commit", serializers.CommitFields, {"fence"}),
        ("Failure", serializers.FailureFields, {"fence"}),
    ],
)
def test_the_server_checks_every_field_of_what_a_worker_sends(
    name: str, checks: type[Serializer[Any]], from_the_token: set[str]
) -> None:
    checked = set(checks().fields)

    assert checked | from_the_token == set(get_type_hints(PAYLOADS[name]))


@pytest.mark.parametrize("field", ["message", "traceback"])
def test_the_server_takes_a_failure_whatever_the_model_printed(field: str) -> None:
    failure = worker_protocol.Failure(
        fence=1,
        failure_class="model",
        message="It failed.",
        traceback="",
        exit_code=1,
        signal=None,
        resources=None,
        outputs=[],
    )

    body = serializers.checked(serializers.FailureFields, {**failure, field: "before\0after"})

    assert body[field].startswith("before")
