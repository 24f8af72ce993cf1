"""Writes the demonstration model: a directory laid out as stock models are, with the kernel's binary files.

The layouts of the files are those that the kernel's own converters read and write.
"""

import csv
import json
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from qanat.demo import MODEL_ID, SUPPLIER_ID, VERSION_ID
from qanat.demo.geography import CELL_DEGREES, LATITUDES, LONGITUDES, cell_centres, touches_land
from qanat.demo.storms import draw, peak_gusts
from qanat.demo.vulnerability import (
    DAMAGE_BOUNDS,
    GUST_BINS,
    damage_probabilities,
    functions,
)

SEED: Final = 20260701
EVENTS: Final = 2400
SCENARIOS: Final = 50
"""The strongest events, as an event set of their own."""
PERIODS: Final = 10_000
"""Years."""
RATES: Final = {"lt": 0.62, "ws": 0.78}
"""Occurrence set -> mean number of landfalls a year: long term, and in warm-sea years."""
RETURN_PERIODS: Final = (10_000, 5000, 2000, 1000, 500, 250, 200, 100, 50, 25, 10, 5, 2)
PERIL: Final = "WTC"
FOLDER: Final = MODEL_ID

FOOTPRINT: Final = np.dtype([("areaperil", "<u4"), ("bin", "<i4"), ("probability", "<f4")])
INDEX: Final = np.dtype([("event", "<i4"), ("offset", "<i8"), ("size", "<i8")])
VULNERABILITY: Final = np.dtype([("id", "<i4"), ("intensity", "<i4"), ("damage", "<i4"), ("probability", "<f4")])
DAMAGE_BIN: Final = np.dtype(
    [("index", "<i4"), ("from", "<f4"), ("to", "<f4"), ("interpolation", "<f4"), ("type", "<i4")]
)
OCCURRENCE: Final = np.dtype([("event", "<i4"), ("period", "<i4"), ("date", "<i4")])


def write_model(directory: Path) -> None:
    """Write the model; byte for byte the same every time."""
    keys = directory / "keys_data" / FOLDER
    data = directory / "model_data" / FOLDER
    meta = directory / "meta-data"
    for folder in (keys, data, meta):
        folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(SEED)
    strongest = _write_footprint(data, generator)
    events = np.arange(1, EVENTS + 1, dtype="<i4")
    events.tofile(data / "events_p.bin")
    np.sort(strongest).astype("<i4").tofile(data / "events_s.bin")
    for name, rate in RATES.items():
        _write_occurrence(data / f"occurrence_{name}.bin", rate, generator)
    _write_vulnerability(data)
    _write_damage_bins(data)
    np.array(RETURN_PERIODS, dtype="<i4").tofile(data / "returnperiods.bin")
    _write_keys_data(keys)
    _write_json(meta / "model_settings.json", _settings())
    _write_json(meta / "chunking_configuration.json", {"lookup_strategy": "FIXED_CHUNKS", "fixed_lookup_chunks": 1})
    _write_json(meta / "scaling_configuration.json", {"scaling_strategy": "FIXED_WORKERS", "worker_count_fixed": 1})
    # Last: a directory without it is no model, so a torn write is seen.
    _write_json(directory / "oasislmf.json", _config())


def _write_footprint(data: Path, generator: np.random.Generator) -> NDArray[np.int64]:
    """Write which intensity bin each event reaches in each area peril; return the ids of the strongest events."""
    ids, centres = cell_centres()
    land = touches_land(centres)
    ids, centres = ids[land], centres[land]
    gusts = np.concatenate([peak_gusts(draw(200, generator), centres) for _ in range(EVENTS // 200)])
    bins = np.searchsorted(GUST_BINS, gusts, side="right")
    reached = bins > 0
    event, place = np.nonzero(reached)
    records = np.empty(len(event), dtype=FOOTPRINT)
    records["areaperil"] = ids[place]
    records["bin"] = bins[event, place]
    records["probability"] = 1.0
    header = np.array([len(GUST_BINS), 0], dtype="<i4")
    counts = reached.sum(axis=1)
    index = np.empty(EVENTS, dtype=INDEX)
    index["event"] = np.arange(1, EVENTS + 1)
    index["size"] = counts * FOOTPRINT.itemsize
    index["offset"] = header.nbytes + np.concatenate([[0], np.cumsum(index["size"])[:-1]])
    with (data / "footprint.bin").open("wb") as stream:
        stream.write(header.tobytes())
        stream.write(records.tobytes())
    index[counts > 0].tofile(data / "footprint.idx")
    strength = np.where(gusts > GUST_BINS[0], gusts**3, 0.0).sum(axis=1)
    strongest: NDArray[np.int64] = np.argsort(-strength, kind="stable")[:SCENARIOS] + 1
    return strongest


def _write_occurrence(path: Path, rate: float, generator: np.random.Generator) -> None:
    """Write which events happen in which year: Poisson numbers, every event as likely as any other."""
    counts = generator.poisson(rate, PERIODS)
    period = np.repeat(np.arange(1, PERIODS + 1), counts)
    records = np.empty(len(period), dtype=OCCURRENCE)
    records["event"] = generator.integers(1, EVENTS + 1, len(period))
    records["period"] = period
    # The season: June to November.
    day = generator.integers(152, 335, len(period))
    records["date"] = period * 365 + period // 4 - period // 100 + period // 400 + day - 60
    with path.open("wb") as stream:
        stream.write(np.array([1, PERIODS], dtype="<i4").tobytes())
        stream.write(records.tobytes())


def _write_vulnerability(data: Path) -> None:
    tables = []
    for function in functions():
        probabilities = damage_probabilities(function)
        intensity, damage = np.nonzero(probabilities > 0)
        table = np.empty(len(intensity), dtype=VULNERABILITY)
        table["id"] = function.id
        table["intensity"] = intensity + 1
        table["damage"] = damage + 1
        table["probability"] = probabilities[intensity, damage]
        tables.append(table)
    with (data / "vulnerability.bin").open("wb") as stream:
        stream.write(np.array([len(DAMAGE_BOUNDS)], dtype="<i4").tobytes())
        stream.write(np.concatenate(tables).tobytes())


def _write_damage_bins(data: Path) -> None:
    bins = np.zeros(len(DAMAGE_BOUNDS), dtype=DAMAGE_BIN)
    bins["index"] = np.arange(1, len(DAMAGE_BOUNDS) + 1)
    bins["from"][1:] = DAMAGE_BOUNDS[:-1]
    bins["to"][1:] = DAMAGE_BOUNDS[1:]
    bins["interpolation"] = (bins["from"] + bins["to"]) / 2
    bins.tofile(data / "damage_bin_dict.bin")


def _write_keys_data(keys: Path) -> None:
    (keys / "ModelVersion.csv").write_text(f"{SUPPLIER_ID},{MODEL_ID},{VERSION_ID}\n")
    with (keys / "vulnerability_dict.csv").open("w", newline="") as stream:
        rows = csv.writer(stream, lineterminator="\n")
        rows.writerow(["coverage_type", "occupancycode", "constructioncode", "vulnerability_id"])
        rows.writerows([f.coverage, f.occupancy, f.construction, f.id] for f in functions())
    coverages = sorted({function.coverage for function in functions()})
    grid = {
        "lat_min": LATITUDES[0],
        "lat_max": LATITUDES[1],
        "lon_min": LONGITUDES[0],
        "lon_max": LONGITUDES[1],
        "arc_size": CELL_DEGREES,
    }
    _write_json(
        keys / "lookup_config.json",
        {
            "model": {"supplier_id": SUPPLIER_ID, "model_id": MODEL_ID, "model_version": VERSION_ID},
            "builtin_lookup_type": "new_lookup",
            "keys_data_path": "./",
            "step_definition": {
                "perils": {
                    "type": "split_loc_perils_covered",
                    "columns": ["locperilscovered"],
                    "parameters": {"model_perils_covered": [PERIL]},
                },
                "area_perils": {
                    "type": "fixed_size_geo_grid",
                    "columns": ["latitude", "longitude"],
                    "parameters": grid,
                },
                "coverages": {
                    "type": "simple_pivot",
                    "parameters": {"pivots": [{"new_cols": {"coverage_type": coverage}} for coverage in coverages]},
                },
                "vulnerabilities": {
                    "type": "merge",
                    "columns": ["coverage_type", "occupancycode", "constructioncode"],
                    "parameters": {
                        "file_path": "%%KEYS_DATA_PATH%%/vulnerability_dict.csv",
                        "id_columns": ["vulnerability_id"],
                    },
                },
            },
            "strategy": ["perils", "area_perils", "coverages", "vulnerabilities"],
        },
    )


def _settings() -> dict[str, Any]:
    return {
        "version": "3",
        "name": "Florida hurricane wind (demonstration)",
        "description": "A synthetic model that shows the platform at work; not fit for any decision.",
        "model_settings": {
            "event_set": {
                "name": "Event set",
                "desc": "Which storms are run",
                "default": "p",
                "options": [
                    {"id": "p", "desc": "All synthetic storms", "number_of_events": EVENTS},
                    {"id": "s", "desc": "The strongest storms", "number_of_events": SCENARIOS},
                ],
            },
            "event_occurrence_id": {
                "name": "Occurrence set",
                "desc": "How often storms happen",
                "default": "lt",
                "options": [
                    {"id": "lt", "desc": "Long term"},
                    {"id": "ws", "desc": "Warm sea: more storms a year"},
                ],
            },
        },
        "lookup_settings": {
            "supported_perils": [{"id": PERIL, "desc": "Hurricane wind", "peril_correlation_group": 1}]
        },
        "correlation_settings": [
            {"peril_correlation_group": 1, "damage_correlation_value": "0.3", "hazard_correlation_value": "0.0"}
        ],
        "data_settings": {
            "damage_group_fields": ["PortNumber", "AccNumber", "LocNumber"],
            "hazard_group_fields": ["PortNumber", "AccNumber", "LocNumber"],
        },
        "model_default_samples": 10,
    }


def _config() -> dict[str, Any]:
    return {
        "lookup_data_dir": f"keys_data/{FOLDER}",
        "lookup_config_json": f"keys_data/{FOLDER}/lookup_config.json",
        "model_data_dir": f"model_data/{FOLDER}",
        "model_settings_json": "meta-data/model_settings.json",
        "gulmc": True,
        "intermediary_csv": True,
    }


def _write_json(path: Path, document: dict[str, Any]) -> None:
    path.write_text(json.dumps(document, indent=2) + "\n")
