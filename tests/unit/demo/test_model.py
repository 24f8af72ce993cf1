"""The demonstration model is whole, fits together, and is the same every time."""

import csv
import json
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from ods_tools.oed import ModelSettingHandler

from qanat.demo import MODEL_ID, SUPPLIER_ID, VERSION_ID
from qanat.demo.model import (
    DAMAGE_BIN,
    EVENTS,
    FOOTPRINT,
    INDEX,
    OCCURRENCE,
    PERIODS,
    RATES,
    RETURN_PERIODS,
    VULNERABILITY,
    write_model,
)
from qanat.demo.vulnerability import GUST_BINS, damage_probabilities, functions


def contents(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def data(model: Path, name: str) -> Path:
    return model / "model_data" / MODEL_ID / name


def records(path: Path, layout: np.dtype[Any], *, header: int = 0) -> NDArray[Any]:
    return np.frombuffer(path.read_bytes()[header:], dtype=layout)


def settings_of(model: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((model / "meta-data" / "model_settings.json").read_text())
    return document


def test_writing_the_model_again_gives_the_same_bytes_even_over_a_torn_one(model: Path, tmp_path: Path) -> None:
    torn = data(tmp_path, "footprint.bin")
    torn.parent.mkdir(parents=True)
    torn.write_bytes(b"half of")

    write_model(tmp_path)

    assert contents(tmp_path) == contents(model)


def test_the_configuration_names_files_that_are_there(model: Path) -> None:
    config = json.loads((model / "oasislmf.json").read_text())

    places = [value for value in config.values() if isinstance(value, str)]

    assert len(places) == 4
    assert all((model / place).exists() for place in places)


def test_the_version_file_says_which_model_it_is(model: Path) -> None:
    version = (model / "keys_data" / MODEL_ID / "ModelVersion.csv").read_text()

    assert version.strip().split(",") == [SUPPLIER_ID, MODEL_ID, VERSION_ID]


def test_the_model_settings_are_valid(model: Path) -> None:
    valid, errors = ModelSettingHandler.make().validate(settings_of(model), raise_error=False)

    assert (valid, errors) == (True, {})


def test_there_are_at_least_2000_events_and_the_settings_say_how_many(model: Path) -> None:
    options = settings_of(model)["model_settings"]["event_set"]["options"]

    sets = {option["id"]: records(data(model, f"events_{option['id']}.bin"), np.dtype("<i4")) for option in options}

    assert len(sets["p"]) >= 2000
    assert {option["id"]: option["number_of_events"] for option in options} == {
        name: len(events) for name, events in sets.items()
    }


def test_events_are_numbered_without_gaps_and_the_strongest_are_among_them(model: Path) -> None:
    everything, strongest = (records(data(model, f"events_{name}.bin"), np.dtype("<i4")) for name in ("p", "s"))

    assert everything.tolist() == list(range(1, EVENTS + 1))
    assert sorted(set(strongest.tolist())) == strongest.tolist()
    assert set(strongest) < set(everything)


def test_the_footprints_index_covers_its_records_without_a_gap(model: Path) -> None:
    index = records(data(model, "footprint.idx"), INDEX)

    ends = index["offset"] + index["size"]
    assert index["offset"][0] == 8
    assert (index["offset"][1:] == ends[:-1]).all()
    assert ends[-1] == data(model, "footprint.bin").stat().st_size
    assert (index["size"] > 0).all()
    assert (index["size"] % FOOTPRINT.itemsize == 0).all()
    assert (np.diff(index["event"]) > 0).all()


def test_most_storms_reach_florida(model: Path) -> None:
    index = records(data(model, "footprint.idx"), INDEX)

    assert 0.8 * EVENTS < len(index) <= EVENTS
    assert set(index["event"]) <= set(range(1, EVENTS + 1))


def test_the_footprint_stays_within_the_bins_that_its_header_announces(model: Path) -> None:
    path = data(model, "footprint.bin")
    bins, has_uncertainty = np.fromfile(path, dtype="<i4", count=2)

    footprint = records(path, FOOTPRINT, header=8)

    assert (bins, has_uncertainty) == (len(GUST_BINS), 0)
    assert footprint["bin"].min() >= 1
    assert footprint["bin"].max() <= bins
    assert (footprint["probability"] == 1.0).all()


def test_an_event_has_each_area_peril_once_and_in_order(model: Path) -> None:
    footprint = records(data(model, "footprint.bin"), FOOTPRINT, header=8)
    index = records(data(model, "footprint.idx"), INDEX)
    starts = (index["offset"] - 8) // FOOTPRINT.itemsize

    steps = np.diff(footprint["areaperil"].astype(np.int64))

    within = np.ones(len(steps), dtype=bool)
    within[starts[1:] - 1] = False
    assert (steps[within] > 0).all()


def test_the_strongest_events_blow_harder_than_the_others(model: Path) -> None:
    footprint = records(data(model, "footprint.bin"), FOOTPRINT, header=8)
    index = records(data(model, "footprint.idx"), INDEX)
    events = np.repeat(index["event"], index["size"] // FOOTPRINT.itemsize)
    strongest = records(data(model, "events_s.bin"), np.dtype("<i4"))

    # Wind power over all places that the storm reaches, whichever of them are insured.
    power = np.bincount(events, weights=GUST_BINS[footprint["bin"] - 1] ** 3, minlength=EVENTS + 1)

    others = np.setdiff1d(np.arange(1, EVENTS + 1), strongest)
    assert power[strongest].min() > 0.9 * power[others].max()


@pytest.mark.parametrize(("name", "rate"), RATES.items(), ids=list(RATES))
def test_storms_happen_as_often_as_the_occurrence_set_says(model: Path, name: str, rate: float) -> None:
    path = data(model, f"occurrence_{name}.bin")
    date_option, periods = np.fromfile(path, dtype="<i4", count=2)

    occurrences = records(path, OCCURRENCE, header=8)

    assert (date_option, periods) == (1, PERIODS)
    # Four standard errors of the mean of so many Poisson numbers.
    assert len(occurrences) / periods == pytest.approx(rate, abs=4 * (rate / periods) ** 0.5)
    assert set(occurrences["event"]) <= set(range(1, EVENTS + 1))
    assert occurrences["period"].min() >= 1
    assert occurrences["period"].max() <= periods
    assert (np.diff(occurrences["period"]) >= 0).all()


@pytest.mark.parametrize("name", RATES)
def test_storms_happen_in_their_year_and_in_the_season(model: Path, name: str) -> None:
    occurrences = records(data(model, f"occurrence_{name}.bin"), OCCURRENCE, header=8)
    in_calendar = occurrences[occurrences["period"] < date.max.year]

    # The kernel counts days such that 1 March of year 1 is day 365; a date's ordinal is 60 then.
    days = [date.fromordinal(int(day) - 305) for day in in_calendar["date"]]

    assert [day.year for day in days] == in_calendar["period"].tolist()
    assert {day.month for day in days} == {6, 7, 8, 9, 10, 11}


def test_warm_seas_bring_more_storms(model: Path) -> None:
    long_term, warm_sea = (len(records(data(model, f"occurrence_{name}.bin"), OCCURRENCE, header=8)) for name in RATES)

    assert warm_sea > 1.1 * long_term


def test_the_occurrence_sets_of_the_settings_are_there(model: Path) -> None:
    options = settings_of(model)["model_settings"]["event_occurrence_id"]["options"]

    assert {option["id"] for option in options} == set(RATES)
    assert all(data(model, f"occurrence_{option['id']}.bin").is_file() for option in options)


def test_the_vulnerability_file_holds_every_function_with_its_probabilities(model: Path) -> None:
    path = data(model, "vulnerability.bin")
    table = records(path, VULNERABILITY, header=4)

    whole = np.zeros((len(functions()) + 1, len(GUST_BINS) + 1, np.fromfile(path, dtype="<i4", count=1)[0] + 1))
    whole[table["id"], table["intensity"], table["damage"]] = table["probability"]

    for function in functions():
        np.testing.assert_allclose(whole[function.id, 1:, 1:], damage_probabilities(function), atol=1e-6)


def test_damage_bins_go_from_nothing_to_all_without_a_gap(model: Path) -> None:
    bins = records(data(model, "damage_bin_dict.bin"), DAMAGE_BIN)

    assert bins["index"].tolist() == list(range(1, len(bins) + 1))
    assert (bins["from"][0], bins["to"][0], bins["to"][-1]) == (0.0, 0.0, 1.0)
    assert (bins["from"][1:] == bins["to"][:-1]).all()
    assert (bins["from"] <= bins["interpolation"]).all()
    assert (bins["interpolation"] <= bins["to"]).all()


def test_return_periods_fall_and_none_is_longer_than_the_years_simulated(model: Path) -> None:
    periods = records(data(model, "returnperiods.bin"), np.dtype("<i4"))

    assert periods.tolist() == list(RETURN_PERIODS)
    assert (np.diff(periods) < 0).all()
    assert periods.max() <= PERIODS


def test_the_lookup_knows_every_function_by_coverage_occupancy_and_construction(model: Path) -> None:
    with (model / "keys_data" / MODEL_ID / "vulnerability_dict.csv").open(newline="") as stream:
        rows = [[int(cell) for cell in row.values()] for row in csv.DictReader(stream)]

    assert rows == [[f.coverage, f.occupancy, f.construction, f.id] for f in functions()]
