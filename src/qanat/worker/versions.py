"""The versions that a worker reports of its software (wire contract, section 5.1)."""

from importlib import metadata

from qanat import __version__
from qanat.contract.oed import latest_schema_version


def versions() -> dict[str, str]:
    """Return the versions of kernel, tools, platform and data standards; nothing heavy is imported."""
    return {
        "oasislmf": _distribution("oasislmf"),
        # The kernel's own Python tools took the place of the ktools binaries; their version is the kernel's.
        "ktools": _distribution("oasislmf"),
        "platform": __version__,
        "ods-tools": _distribution("ods-tools"),
        "oed-schema": latest_schema_version(),
    }


def _distribution(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"
