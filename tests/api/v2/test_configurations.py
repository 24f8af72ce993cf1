"""Chunking and scaling configurations: defaults, changes in part, refusals on the field."""

import pytest

from qanat.server.analyses.models import Analysis
from qanat.server.risk_models.models import RiskModel
from tests.api.caller import BAD_REQUEST, OK, Caller
from tests.factories import make_model

CHUNKING = {
    "lookup_strategy": "FIXED_CHUNKS",
    "loss_strategy": "FIXED_CHUNKS",
    "dynamic_locations_per_lookup": 10_000,
    "dynamic_events_per_analysis": 1,
    "dynamic_chunks_max": 200,
    "fixed_analysis_chunks": 1,
    "fixed_lookup_chunks": 1,
}
SCALING = {
    "scaling_strategy": "FIXED_WORKERS",
    "worker_count_fixed": 1,
    "worker_count_max": 10,
    "worker_count_min": 0,
    "chunks_per_worker": 10,
}
STRATEGIES = ["lookup_strategy", "loss_strategy"]
COUNTS = [name for name in CHUNKING if name not in STRATEGIES]


def test_a_new_model_has_the_defaults(api: Caller, model: RiskModel) -> None:
    chunking = api.get(f"models/{model.pk}/chunking_configuration/")
    scaling = api.get(f"models/{model.pk}/scaling_configuration/")

    assert (chunking.code, chunking.body) == (OK, CHUNKING)
    assert (scaling.code, scaling.body) == (OK, SCALING)


def test_a_change_of_chunking_leaves_the_rest(api: Caller, model: RiskModel) -> None:
    route = f"models/{model.pk}/chunking_configuration/"
    api.post(route, {"fixed_lookup_chunks": 4})

    answer = api.post(route, {"loss_strategy": "DYNAMIC_CHUNKS"})

    expected = {**CHUNKING, "fixed_lookup_chunks": 4, "loss_strategy": "DYNAMIC_CHUNKS"}
    assert (answer.code, answer.body) == (OK, expected)
    assert api.get(route).body == expected


@pytest.mark.parametrize("value", [0, -1, 1.5, "2", True, None, [], "many"])
def test_a_count_of_chunks_is_a_whole_number_from_one(api: Caller, model: RiskModel, value: object) -> None:
    answer = api.post(f"models/{model.pk}/chunking_configuration/", dict.fromkeys(COUNTS, value))

    assert (answer.code, set(answer.body)) == (BAD_REQUEST, set(COUNTS))
    assert api.get(f"models/{model.pk}/chunking_configuration/").body == CHUNKING


@pytest.mark.parametrize("value", ["fixed_chunks", "", None, 1, ["FIXED_CHUNKS"], {}])
def test_a_strategy_is_one_of_two(api: Caller, model: RiskModel, value: object) -> None:
    answer = api.post(f"models/{model.pk}/chunking_configuration/", dict.fromkeys(STRATEGIES, value))

    assert (answer.code, set(answer.body)) == (BAD_REQUEST, set(STRATEGIES))
    assert api.get(f"models/{model.pk}/chunking_configuration/").body == CHUNKING


def test_one_bad_field_refuses_the_good_ones_beside_it(api: Caller, model: RiskModel) -> None:
    route = f"models/{model.pk}/chunking_configuration/"

    answer = api.post(route, {"fixed_lookup_chunks": 4, "fixed_analysis_chunks": 0})

    assert (answer.code, set(answer.body)) == (BAD_REQUEST, {"fixed_analysis_chunks"})
    assert api.get(route).body == CHUNKING


def test_an_analysis_has_no_chunking_of_its_own_until_it_is_given_one(api: Caller, analysis: Analysis) -> None:
    route = f"analyses/{analysis.pk}/chunking_configuration/"
    before = api.get(route)

    answer = api.post(route, {"fixed_analysis_chunks": 3})

    assert (before.code, before.body) == (OK, dict.fromkeys(CHUNKING))
    assert (answer.code, answer.body) == (OK, {**CHUNKING, "fixed_analysis_chunks": 3})
    assert api.get(f"models/{analysis.model_id}/chunking_configuration/").body == CHUNKING


def test_a_change_of_scaling_leaves_the_rest(api: Caller, model: RiskModel) -> None:
    answer = api.post(f"models/{model.pk}/scaling_configuration/", {"worker_count_max": 3})

    assert (answer.code, answer.body) == (OK, {**SCALING, "worker_count_max": 3})


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"scaling_strategy": "MORE"}, "scaling_strategy"),
        ({"worker_count_fixed": -1}, "worker_count_fixed"),
        ({"worker_count_max": "many"}, "worker_count_max"),
        ({"chunks_per_worker": None}, "chunks_per_worker"),
        ({"worker_count_min": 11}, "worker_count_min"),
        ({"worker_count_min": 2, "worker_count_max": 1}, "worker_count_min"),
    ],
)
def test_bad_scaling_is_refused_on_the_field(
    api: Caller, model: RiskModel, body: dict[str, object], field: str
) -> None:
    answer = api.post(f"models/{model.pk}/scaling_configuration/", body)

    assert (answer.code, set(answer.body)) == (BAD_REQUEST, {field})
    assert api.get(f"models/{model.pk}/scaling_configuration/").body == SCALING


def test_a_maximum_below_the_minimum_is_refused_on_the_one_that_was_sent(api: Caller, model: RiskModel) -> None:
    route = f"models/{model.pk}/scaling_configuration/"
    api.post(route, {"worker_count_min": 5})

    answer = api.post(route, {"worker_count_max": 4})

    assert (answer.code, set(answer.body)) == (BAD_REQUEST, {"worker_count_max"})


def test_a_model_of_run_mode_v1_has_no_tasks_to_scale_by(api: Caller) -> None:
    model = make_model(run_mode="V1")

    answer = api.post(f"models/{model.pk}/scaling_configuration/", {"scaling_strategy": "DYNAMIC_TASKS"})

    assert (answer.code, set(answer.body)) == (BAD_REQUEST, {"scaling_strategy"})
