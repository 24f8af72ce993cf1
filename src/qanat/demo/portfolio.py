"""Writes the demonstration portfolio in OED: homes, shops and factories in Florida, with policies and reinsurance."""

import csv
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from qanat.demo import MODEL_ID, SUPPLIER_ID
from qanat.demo.geography import on_land
from qanat.demo.model import PERIL

SEED: Final = 20260702
TOWNS: Final = np.array(
    [
        # latitude, longitude, weight
        (25.79, -80.22, 18), (26.12, -80.15, 12), (26.71, -80.08, 10), (28.05, -82.45, 12), (27.77, -82.65, 7),
        (27.33, -82.52, 5), (26.61, -81.86, 6), (26.15, -81.77, 4), (28.54, -81.38, 10), (30.33, -81.65, 8),
        (29.20, -81.04, 3), (28.08, -80.61, 3), (30.42, -87.21, 3), (30.16, -85.66, 2), (30.44, -84.28, 3),
        (29.65, -82.33, 2), (27.44, -80.33, 2),
    ]
)  # fmt: skip
ACCOUNTS: Final = 20
LINES: Final = (
    # OED occupancy, constructions with their shares, median building value in USD, share of the portfolio
    (1050, {5050: 0.45, 5100: 0.5, 5150: 0.05}, 380_000.0, 0.7),
    (1100, {5100: 0.4, 5150: 0.35, 5200: 0.25}, 1_900_000.0, 0.22),
    (1150, {5150: 0.4, 5200: 0.6}, 4_200_000.0, 0.08),
)
RESIDENTIAL: Final = 1050
CURRENCY: Final = "USD"
VERSION: Final = "4.0.0"
INCEPTION, EXPIRY = "2026-01-01", "2026-12-31"
FACULTATIVE_RISKS: Final = 5
ORD_OUTPUTS: Final = {
    "alt_period": True,
    "ept_full_uncertainty_aep": True,
    "ept_full_uncertainty_oep": True,
    "return_period_file": True,
}
Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class DemoPortfolio:
    """The files of the portfolio."""

    location: Path
    accounts: Path
    reinsurance_info: Path
    reinsurance_scope: Path
    settings: Path


def write_portfolio(directory: Path, *, locations: int = 1000) -> DemoPortfolio:
    """Write a portfolio of so many locations and the settings of its analysis; the same every time."""
    directory.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(SEED)
    rows = _locations(locations, generator)
    files = DemoPortfolio(
        location=directory / "location.csv",
        accounts=directory / "account.csv",
        reinsurance_info=directory / "reinsinfo.csv",
        reinsurance_scope=directory / "reinsscope.csv",
        settings=directory / "analysis_settings.json",
    )
    info, scope = _reinsurance(rows)
    _write(files.location, rows)
    _write(files.accounts, _accounts(rows))
    _write(files.reinsurance_info, info)
    _write(files.reinsurance_scope, scope)
    files.settings.write_text(json.dumps(_settings(), indent=2) + "\n")
    return files


def _locations(number: int, generator: np.random.Generator) -> list[Row]:
    weights = TOWNS[:, 2] / TOWNS[:, 2].sum()
    places: list[tuple[float, float]] = []
    while len(places) < number:
        town = TOWNS[generator.choice(len(TOWNS), size=number, p=weights), :2]
        near = town + generator.normal(0.0, 0.09, (number, 2))
        places += [(float(lat), float(lon)) for lat, lon in near[on_land(near)]]
    shares = [line[3] for line in LINES]
    rows = []
    for index, (latitude, longitude) in enumerate(places[:number]):
        occupancy, constructions, median, _ = LINES[generator.choice(len(LINES), p=shares)]
        construction = generator.choice(list(constructions), p=list(constructions.values()))
        building = float(np.round(median * generator.lognormal(0.0, 0.6), -3))
        home = occupancy == RESIDENTIAL
        rows.append(
            {
                "PortNumber": 1,
                "AccNumber": f"A{index % ACCOUNTS + 1:02d}",
                "LocNumber": index + 1,
                "CountryCode": "US",
                "AreaCode": "FL",
                "Latitude": f"{latitude:.5f}",
                "Longitude": f"{longitude:.5f}",
                "OccupancyCode": occupancy,
                "ConstructionCode": int(construction),
                "LocPerilsCovered": PERIL,
                "LocCurrency": CURRENCY,
                "BuildingTIV": building,
                "OtherTIV": 0,
                "ContentsTIV": round(building * (0.5 if home else 0.4), 0),
                "BITIV": 0 if home else round(building * 0.25, 0),
                "LocPeril": PERIL,
                # Homes carry the hurricane deductible that is usual in Florida, a share of the building's value.
                "LocDed1Building": round(building * 0.02, 0) if home else 25_000,
                "LocDedType1Building": 0,
                "LocLimitType6All": 0,
                "LocLimit6All": 0 if home else round(building * 1.2, 0),
                "OEDVersion": VERSION,
            }
        )
    return rows


def _insured(rows: Iterable[Row]) -> float:
    return float(sum(row["BuildingTIV"] + row["ContentsTIV"] + row["BITIV"] for row in rows))


def _accounts(rows: Sequence[Row]) -> list[Row]:
    """Every account has a policy with a deductible; every fourth has two layers in which the insurer takes a share."""
    accounts = []
    for number in range(1, ACCOUNTS + 1):
        name = f"A{number:02d}"
        insured = _insured(row for row in rows if row["AccNumber"] == name)
        layered = number % 4 == 0
        working = round(insured * 0.1, -3)
        layers = (
            [(1, 0.8, working, 0.0), (2, 0.5, round(insured * 0.4, -3), working)] if layered else [(1, 1.0, 0.0, 0.0)]
        )
        for layer, share, limit, attachment in layers:
            accounts.append(
                {
                    "PortNumber": 1,
                    "AccNumber": name,
                    "AccCurrency": CURRENCY,
                    "PolNumber": f"{name}-P1",
                    "PolPerilsCovered": PERIL,
                    "PolPeril": PERIL,
                    "PolInceptionDate": INCEPTION,
                    "PolExpiryDate": EXPIRY,
                    "LOB": "Commercial" if layered else "Personal",
                    "PolDedType6All": 0,
                    "PolLimitType6All": 0,
                    "PolDed6All": 100_000 if layered else 10_000,
                    "PolLimit6All": round(insured * 0.6, -3),
                    "LayerNumber": layer,
                    "LayerParticipation": share,
                    "LayerLimit": limit,
                    "LayerAttachment": attachment,
                    "OEDVersion": VERSION,
                }
            )
    return accounts


def _reinsurance(rows: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    """Facultative cover of the largest risks, a quota share of half the accounts, a catastrophe layer over the rest."""
    total = _insured(rows)
    largest = sorted(rows, key=lambda row: (-_insured([row]), row["LocNumber"]))[:FACULTATIVE_RISKS]
    common = {
        "ReinsLayerNumber": 1,
        "ReinsPeril": PERIL,
        "ReinsInceptionDate": INCEPTION,
        "ReinsExpiryDate": EXPIRY,
        "ReinsCurrency": CURRENCY,
        "UseReinsDates": "N",
        "OEDVersion": VERSION,
    }
    nothing = {"CededPercent": 1.0, "RiskLimit": 0, "RiskAttachment": 0, "OccLimit": 0, "OccAttachment": 0}
    info = [
        {
            "ReinsNumber": 1,
            "ReinsName": "Facultative, largest risks",
            "InuringPriority": 1,
            "ReinsType": "FAC",
            "RiskLevel": "LOC",
            **nothing,
            "RiskLimit": 5_000_000,
            "RiskAttachment": 1_000_000,
            "PlacedPercent": 1.0,
            **common,
        },
        {
            "ReinsNumber": 2,
            "ReinsName": "Quota share",
            "InuringPriority": 1,
            "ReinsType": "QS",
            "RiskLevel": "ACC",
            **nothing,
            "CededPercent": 0.2,
            "PlacedPercent": 1.0,
            **common,
        },
        {
            "ReinsNumber": 3,
            "ReinsName": "Catastrophe excess of loss",
            "InuringPriority": 2,
            "ReinsType": "CXL",
            "RiskLevel": "SEL",
            **nothing,
            "OccLimit": round(total * 0.08, -3),
            "OccAttachment": round(total * 0.02, -3),
            "PlacedPercent": 0.95,
            **common,
        },
    ]
    scope = [
        {"ReinsNumber": 1, "PortNumber": 1, "AccNumber": row["AccNumber"], "LocNumber": row["LocNumber"]}
        for row in largest
    ]
    scope += [
        {"ReinsNumber": 2, "PortNumber": 1, "AccNumber": f"A{number:02d}", "LocNumber": ""}
        for number in range(1, ACCOUNTS // 2 + 1)
    ]
    scope.append({"ReinsNumber": 3, "PortNumber": 1, "AccNumber": "", "LocNumber": ""})
    return info, [{**row, "CededPercent": 1.0, "OEDVersion": VERSION} for row in scope]


def _settings() -> Row:
    summaries = [{"id": 1, "ord_output": ORD_OUTPUTS}]
    return {
        "version": "3",
        "source_tag": "demo",
        "analysis_tag": "florida_wind",
        "model_supplier_id": SUPPLIER_ID,
        "model_name_id": MODEL_ID,
        "model_settings": {"event_set": "p", "event_occurrence_id": "lt"},
        "number_of_samples": 10,
        "gul_threshold": 0,
        **{f"{perspective}_output": True for perspective in ("gul", "il", "ri")},
        **{f"{perspective}_summaries": summaries for perspective in ("gul", "il", "ri")},
    }


def _write(path: Path, rows: Sequence[Row]) -> None:
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
