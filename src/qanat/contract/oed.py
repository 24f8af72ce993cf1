"""Which edition of Open Exposure Data this installation knows."""

import json
from functools import cache
from importlib import resources
from typing import Any, Final

PREFIX: Final = "OpenExposureData_"
SUFFIX: Final = "Spec.json"


def latest_schema_version() -> str:
    """Return the newest OED schema that ods-tools brings, without importing it: that would load pandas."""
    try:
        names = [item.name for item in resources.files("ods_tools").joinpath("data").iterdir()]
    except ModuleNotFoundError:
        return "not installed"
    versions = [name.removeprefix(PREFIX).removesuffix(SUFFIX) for name in names if name.startswith(PREFIX)]
    return max(versions, key=lambda version: tuple(map(int, version.split("."))), default="not installed")


@cache
def peril_codes() -> dict[str, Any]:
    """Return the perils of the newest OED schema and the groups of them, with what they stand for."""
    version = latest_schema_version()
    try:
        text = resources.files("ods_tools").joinpath("data", f"{PREFIX}{version}{SUFFIX}").read_text(encoding="utf-8")
    except (ModuleNotFoundError, FileNotFoundError):
        return {"peril_codes": {}, "peril_groups": {}}
    perils = json.loads(text)["perils"]
    codes: dict[str, Any] = {}
    groups: dict[str, Any] = {}
    for code, known in perils["info"].items():
        described = {"desc": known["Peril Description"]}
        if known["Grouped PerilCode"] == "Yes":
            groups[code] = {**described, "peril_ids": perils["covered"].get(code, [])}
        else:
            codes[code] = described
    return {"peril_codes": codes, "peril_groups": groups}
