"""Which edition of Open Exposure Data this installation knows."""

from importlib import resources
from typing import Final

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
