"""The losses of several analyses combined into one set of tables, through ods-tools."""

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ods_tools.combine.combine import combine, prepare_config
from ods_tools.oed import OdsException

from qanat.worker.kernel.port import ExposureRefused

logger = logging.getLogger(__name__)


def combine_losses(*, analyses: Sequence[Path], config: Mapping[str, Any], result: Path) -> None:
    """Write the combined tables into a folder.

    Args:
        analyses: a folder each, with its unpacked archives in ``input`` and ``output``.
        config: as clients post it; its schema is that of ods-tools.
        result: the folder.

    Raises:
        ExposureRefused: the configuration breaks its schema, or the analyses cannot be combined.
    """
    whole = _checked(dict(config))
    logger.info("Combining %d analyses: %s", len(analyses), json.dumps(whole))
    try:
        combine(analysis_dirs=[str(folder) for folder in analyses], output_dir=str(result), **_ours(whole))
    except (OdsException, ValueError, KeyError, FileNotFoundError) as error:
        message = (
            f"The analyses cannot be combined ({type(error).__name__}: {error}): run them with summaries of the same "
            "OED fields, and with event loss tables (elt_moment, elt_quantile or elt_sample) as CSV in their output."
        )
        raise ExposureRefused(message) from error
    if not any(path.is_file() for path in result.rglob("*")):
        message = "Nothing was made: ask for at least one of group_alt, group_ept and group_plt in the config."
        raise ExposureRefused(message)


def _checked(config: dict[str, Any]) -> dict[str, Any]:
    """Return the configuration with its defaults, checked against the schema of ods-tools.

    The correlation is checked here: the schema gives it a type that JSON Schema does not know; any check of it fails.
    """
    correlation = config.pop("group_correlation", None)
    try:
        if correlation is not None and (type(correlation) not in {int, float} or not -1 <= correlation <= 1):
            message = "group_correlation is a number from -1 to 1"
            raise OdsException(message)  # noqa: TRY301 - as the schema's own refusals
        whole: dict[str, Any] = prepare_config(config)
    except OdsException as error:
        message = f"The config cannot be used: {' '.join(str(error).split())}. Correct it and combine again."
        raise ExposureRefused(message) from error
    return whole if correlation is None else {**whole, "group_correlation": float(correlation)}


def _ours(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration without what says where files lie: that is not a client's to say."""
    return {name: value for name, value in config.items() if name not in {"analysis_dirs", "output_dir"}}
