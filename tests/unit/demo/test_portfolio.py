"""The demonstration portfolio is valid OED, the same every time, and the model knows every risk in it."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numba.core.caching import Cache
from numpy.typing import NDArray
from oasislmf.lookup.builtin import Lookup
from ods_tools.oed import AnalysisSettingHandler, OedExposure
from ods_tools.oed.common import DEFAULT_VALIDATION_CONFIG

from qanat.demo import MODEL_ID, SUPPLIER_ID
from qanat.demo.geography import cell_centres, on_land
from qanat.demo.model import FOOTPRINT, VULNERABILITY
from qanat.demo.portfolio import DemoPortfolio, write_portfolio
from qanat.worker.kernel import numba_cache

EVERY_CHECK = [{**check, "on_error": "return"} for check in DEFAULT_VALIDATION_CONFIG]
COVERAGES = {"BuildingTIV": 1, "ContentsTIV": 3, "BITIV": 4}


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def lookup(model: Path, locations: "pd.DataFrame") -> "pd.DataFrame":
    """Return the keys that the kernel's own lookup gives."""
    folder = model / "keys_data" / MODEL_ID
    config = json.loads((folder / "lookup_config.json").read_text())
    config["keys_data_path"] = str(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Cache, "save_overload", Cache.save_overload)  # as it was, afterwards
        numba_cache.settle()
        return Lookup(config, config_dir=str(folder)).process_locations(locations)


@pytest.fixture(scope="module")
def keys(model: Path, portfolio: DemoPortfolio) -> "pd.DataFrame":
    locations = pd.read_csv(portfolio.location)
    locations["loc_id"] = range(1, len(locations) + 1)
    return lookup(model, locations)


def in_file(model: Path, name: str, layout: np.dtype[Any], header: int) -> NDArray[Any]:
    return np.frombuffer((model / "model_data" / MODEL_ID / name).read_bytes()[header:], dtype=layout)


def test_writing_the_portfolio_twice_gives_the_same_bytes(portfolio: DemoPortfolio, tmp_path: Path) -> None:
    again = write_portfolio(tmp_path)

    for name in ("location", "accounts", "reinsurance_info", "reinsurance_scope", "settings"):
        assert getattr(again, name).read_bytes() == getattr(portfolio, name).read_bytes()


@pytest.mark.parametrize("locations", [1, 1000])
def test_the_portfolio_is_valid_oed_however_small(tmp_path: Path, locations: int) -> None:
    files = write_portfolio(tmp_path, locations=locations)
    exposure = OedExposure(
        location=str(files.location),
        account=str(files.accounts),
        ri_info=str(files.reinsurance_info),
        ri_scope=str(files.reinsurance_scope),
    )

    faults = exposure.check(validation_config=EVERY_CHECK)

    assert faults == []
    assert len(rows(files.location)) == locations


def test_a_portfolio_that_is_not_valid_would_be_noticed(portfolio: DemoPortfolio, tmp_path: Path) -> None:
    (tmp_path / "location.csv").write_text(portfolio.location.read_text().replace(",5100,", ",9999,", 1))
    exposure = OedExposure(location=str(tmp_path / "location.csv"), account=str(portfolio.accounts))

    faults = exposure.check(validation_config=EVERY_CHECK)

    assert "ConstructionCode" in str(faults)


def test_the_settings_of_the_analysis_are_valid_and_of_this_model(portfolio: DemoPortfolio) -> None:
    settings = json.loads(portfolio.settings.read_text())

    valid, errors = AnalysisSettingHandler.make().validate(settings, raise_error=False)

    assert (valid, errors) == (True, {})
    assert (settings["model_supplier_id"], settings["model_name_id"]) == (SUPPLIER_ID, MODEL_ID)


def test_the_settings_select_what_the_model_offers(portfolio: DemoPortfolio, model: Path) -> None:
    selected = json.loads(portfolio.settings.read_text())["model_settings"]
    offered = json.loads((model / "meta-data" / "model_settings.json").read_text())["model_settings"]

    assert set(selected) == set(offered)
    for name, choice in selected.items():
        assert choice in {option["id"] for option in offered[name]["options"]}


def test_every_location_stands_on_land_under_a_number_of_its_own(portfolio: DemoPortfolio) -> None:
    locations = rows(portfolio.location)

    places = np.array([(float(row["Latitude"]), float(row["Longitude"])) for row in locations])

    assert on_land(places).all()
    assert len({row["LocNumber"] for row in locations}) == len(locations) == 1000


def test_every_location_has_a_policy_and_every_scope_something_to_cover(portfolio: DemoPortfolio) -> None:
    insured = {row["AccNumber"] for row in rows(portfolio.accounts)}
    located = {(row["AccNumber"], row["LocNumber"]) for row in rows(portfolio.location)}
    scope = rows(portfolio.reinsurance_scope)

    assert {account for account, _ in located} == insured
    assert {row["AccNumber"] for row in scope} - {""} <= insured
    assert {(row["AccNumber"], row["LocNumber"]) for row in scope if row["LocNumber"]} <= located
    assert {row["ReinsNumber"] for row in scope} == {row["ReinsNumber"] for row in rows(portfolio.reinsurance_info)}


def test_the_kernels_lookup_finds_a_key_for_every_coverage_of_every_location(keys: "pd.DataFrame") -> None:
    found = set(zip(keys["loc_id"], keys["coverage_type"], strict=True))

    assert set(keys["status"]) == {"success"}
    assert set(keys["peril_id"]) == {"WTC"}
    assert found == {(location, coverage) for location in range(1, 1001) for coverage in COVERAGES.values()}


def test_the_model_has_a_vulnerability_for_every_key(model: Path, keys: "pd.DataFrame") -> None:
    known = set(in_file(model, "vulnerability.bin", VULNERABILITY, 4)["id"].tolist())

    assert set(keys["vulnerability_id"]) <= known


def test_the_model_has_hazard_for_every_key(model: Path, keys: "pd.DataFrame") -> None:
    reached = set(in_file(model, "footprint.bin", FOOTPRINT, 8)["areaperil"].tolist())

    without = keys[~keys["area_peril_id"].isin(reached)]

    assert sorted(set(without["loc_id"])) == []


def test_the_grid_of_the_footprint_is_the_grid_of_the_kernels_lookup(model: Path) -> None:
    ids, centres = cell_centres()
    locations = pd.DataFrame(
        {
            "loc_id": ids,
            "latitude": centres[:, 0],
            "longitude": centres[:, 1],
            "locperilscovered": "WTC",
            "occupancycode": 1050,
            "constructioncode": 5050,
        }
    )

    keys = lookup(model, locations)

    assert len(keys) == 3 * len(ids)
    assert (keys["area_peril_id"] == keys["loc_id"]).all()
