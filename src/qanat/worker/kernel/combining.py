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
    try:
        whole = prepare_config(dict(config))
    except OdsException as error:
        message = f"The config cannot be used: {' '.join(str(error).split())}. Correct it and combine again."
        raise ExposureRefused(message) from error
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


def _ours(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration without what says where files lie: that is not a client's to say."""
    return {name: value for name, value in config.items() if name not in {"analysis_dirs", "output_dir"}}
