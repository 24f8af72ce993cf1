"""A run is cut into as many chunks as the wire contract says (section 4.1)."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qanat.domain.chunking import ChunkingOptions, EventCountUnknown, Strategy, event_count, lookup_chunks, loss_chunks

AT_LEAST_ONE = st.integers(1, 10**6)
FIXED = st.builds(ChunkingOptions, fixed_lookup_chunks=AT_LEAST_ONE, fixed_analysis_chunks=AT_LEAST_ONE)
DYNAMIC = st.builds(
    ChunkingOptions,
    lookup_strategy=st.just(Strategy.DYNAMIC),
    loss_strategy=st.just(Strategy.DYNAMIC),
    dynamic_locations_per_lookup=AT_LEAST_ONE,
    dynamic_events_per_analysis=AT_LEAST_ONE,
    dynamic_chunks_max=st.integers(1, 1000),
)
WORK = st.integers(1, 10**8)


def dynamic(*, locations: int = 10_000, events: int = 1, most: int = 200) -> ChunkingOptions:
    return ChunkingOptions(
        lookup_strategy=Strategy.DYNAMIC,
        loss_strategy=Strategy.DYNAMIC,
        dynamic_locations_per_lookup=locations,
        dynamic_events_per_analysis=events,
        dynamic_chunks_max=most,
    )


def test_the_defaults_are_those_of_the_contract() -> None:
    options = ChunkingOptions()

    assert options == ChunkingOptions(
        lookup_strategy=Strategy("FIXED_CHUNKS"),
        loss_strategy=Strategy("FIXED_CHUNKS"),
        dynamic_locations_per_lookup=10_000,
        dynamic_events_per_analysis=1,
        dynamic_chunks_max=200,
        fixed_analysis_chunks=1,
        fixed_lookup_chunks=1,
    )


@pytest.mark.parametrize(
    ("chunks", "rows", "expected"),
    [(1, 1000, 1), (4, 1000, 4), (4, 4, 4), (4, 3, 3), (4, 1, 1), (4, 0, 1)],
)
def test_fixed_lookup_chunks_are_no_more_than_there_are_locations(chunks: int, rows: int, expected: int) -> None:
    options = ChunkingOptions(fixed_lookup_chunks=chunks)

    assert lookup_chunks(options=options, rows=rows) == expected


@pytest.mark.parametrize(("chunks", "events", "expected"), [(1, 1000, 1), (8, 1000, 8), (8, 3, 8), (8, 0, 8)])
def test_fixed_loss_chunks_take_no_notice_of_the_events(chunks: int, events: int, expected: int) -> None:
    options = ChunkingOptions(fixed_analysis_chunks=chunks)

    assert loss_chunks(options=options, events=events) == expected


@pytest.mark.parametrize(
    ("work", "per_chunk", "most", "expected"),
    [(0, 10, 5, 1), (1, 10, 5, 1), (10, 10, 5, 1), (11, 10, 5, 2), (49, 10, 5, 5), (50, 10, 5, 5), (51, 10, 5, 5)],
)
def test_dynamic_chunks_are_as_many_as_the_work_needs_up_to_the_most(
    work: int, per_chunk: int, most: int, expected: int
) -> None:
    options = dynamic(locations=per_chunk, events=per_chunk, most=most)

    assert lookup_chunks(options=options, rows=work) == expected
    assert loss_chunks(options=options, events=work) == expected


def test_each_half_is_cut_by_its_own_strategy_and_size() -> None:
    options = ChunkingOptions(
        lookup_strategy=Strategy.DYNAMIC,
        loss_strategy=Strategy.FIXED,
        dynamic_locations_per_lookup=100,
        dynamic_events_per_analysis=7,
        fixed_analysis_chunks=3,
        fixed_lookup_chunks=9,
    )

    assert lookup_chunks(options=options, rows=1000) == 10
    assert loss_chunks(options=options, events=1000) == 3


@given(options=FIXED | DYNAMIC, rows=WORK, events=WORK)
def test_there_is_always_a_chunk_and_never_one_without_a_location(
    options: ChunkingOptions, rows: int, events: int
) -> None:
    assert 1 <= lookup_chunks(options=options, rows=rows) <= rows
    assert loss_chunks(options=options, events=events) >= 1


@given(options=DYNAMIC, work=WORK)
def test_dynamic_chunks_hold_all_of_the_work_and_none_is_empty(options: ChunkingOptions, work: int) -> None:
    sizes = {
        lookup_chunks(options=options, rows=work): options.dynamic_locations_per_lookup,
        loss_chunks(options=options, events=work): options.dynamic_events_per_analysis,
    }

    for chunks, size in sizes.items():
        assert chunks <= options.dynamic_chunks_max
        assert (chunks - 1) * size < work
        assert chunks * size >= work or chunks == options.dynamic_chunks_max


@given(options=FIXED | DYNAMIC, work=WORK, more=st.integers(0, 10**6))
def test_more_work_never_gives_fewer_chunks(options: ChunkingOptions, work: int, more: int) -> None:
    assert lookup_chunks(options=options, rows=work + more) >= lookup_chunks(options=options, rows=work)
    assert loss_chunks(options=options, events=work + more) >= loss_chunks(options=options, events=work)


def model_with(*options: Mapping[str, Any]) -> dict[str, Any]:
    return {"model_settings": {"event_set": {"name": "Event set", "options": list(options)}}}


SELECTS_P: dict[str, Any] = {"model_settings": {"event_set": "p"}}


def test_the_events_are_those_of_the_event_set_that_the_analysis_selects() -> None:
    model = model_with({"id": "h", "number_of_events": 7}, {"id": "p", "number_of_events": 1447})

    assert event_count(analysis_settings=SELECTS_P, model_settings=model) == 1447


def test_an_event_set_is_found_whether_its_id_is_a_number_or_text() -> None:
    model = model_with({"id": 1, "number_of_events": 7})

    assert event_count(analysis_settings={"model_settings": {"event_set": "1"}}, model_settings=model) == 7


def test_events_that_the_analysis_lists_are_counted_and_the_model_is_not_asked() -> None:
    settings = SELECTS_P | {"event_ids": [3, 5, 8]}

    assert event_count(analysis_settings=settings, model_settings=None) == 3


@pytest.mark.parametrize("event_ids", [None, [], [3]])
def test_a_list_of_one_event_or_none_is_not_counted(event_ids: list[int] | None) -> None:
    settings = SELECTS_P | {"event_ids": event_ids}
    model = model_with({"id": "p", "number_of_events": 1447})

    assert event_count(analysis_settings=settings, model_settings=model) == 1447


@pytest.mark.parametrize(
    ("settings", "model", "field", "sentence"),
    [
        (SELECTS_P, None, "model_settings_file", "no settings file"),
        ({}, model_with({"id": "p"}), "analysis_settings_file", r"'model_settings\.event_set' is not set"),
        ({"model_settings": None}, model_with({"id": "p"}), "analysis_settings_file", "is not set"),
        (SELECTS_P, {}, "settings_files", "list no event sets"),
        (SELECTS_P, {"model_settings": {}}, "settings_files", "list no event sets"),
        (SELECTS_P, model_with({"id": "h"}, {"id": 2}), "settings_files", r"'p', but the model has: h, 2\."),
        (SELECTS_P, model_with({"id": "p"}), "model_settings_file", "'p' does not say its 'number_of_events'"),
    ],
)
def test_where_the_events_cannot_be_counted_the_right_file_is_blamed(
    settings: dict[str, Any], model: dict[str, Any] | None, field: str, sentence: str
) -> None:
    with pytest.raises(EventCountUnknown, match=sentence) as caught:
        event_count(analysis_settings=settings, model_settings=model)

    assert caught.value.field == field
