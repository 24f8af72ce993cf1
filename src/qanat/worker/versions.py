"""The versions that a worker reports of its software (wire contract, section 5.1)."""

from importlib import metadata, resources

from qanat import __version__


def versions() -> dict[str, str]:
    """Return the versions of kernel, tools, platform and data standards; nothing heavy is imported."""
    return {
        "oasislmf": _distribution("oasislmf"),
        # The kernel's own Python tools took the place of the ktools binaries; their version is the kernel's.
        "ktools": _distribution("oasislmf"),
        "platform": __version__,
        "ods-tools": _distribution("ods-tools"),
        "oed-schema": _latest_oed_schema(),
    }


def _distribution(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def _latest_oed_schema() -> str:
    try:
        names = [item.name for item in resources.files("ods_tools").joinpath("data").iterdir()]
    except ModuleNotFoundError:
        return "not installed"
    found = [
        name.removeprefix("OpenExposureData_").removesuffix("Spec.json")
        for name in names
        if name.startswith("OpenExposureData_")
    ]
    return max(found, key=lambda version: tuple(map(int, version.split("."))), default="not installed")
