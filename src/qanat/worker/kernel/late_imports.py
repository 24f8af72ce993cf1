"""What the kernel and its libraries import only when they come to it: in a process that others are forked from, once.

Each fork would do it anew, and compiled functions of such a module would not be loaded beforehand either. A module that
a later version does not have is left out: nothing depends on this but time.
"""

import contextlib
import importlib
from collections.abc import Collection
from typing import Final

TOOLS: Final = ("mmap",)
"""Of the small tools (``tool_server.LIGHT``)."""
STEPS: Final = (
    "netrc",
    "numpy.lib.recfunctions",
    "numpy.ma.mrecords",
    "oasislmf.pytools.getmodel.structure",
    "oasislmf.pytools.gul.structure",
    "oasislmf.pytools.gulmc.aggregate",
    "oasislmf.pytools.gulmc.items",
    "oasislmf.pytools.gulmc.structure",
    "pandas.core.arrays.arrow.extension_types",
    "pandas.core.methods.to_dict",
    "pandas.io.formats.csvs",
)
"""Of the steps, and of the tools that need as much as they do."""


def load(names: Collection[str]) -> None:
    """Import what there is of ``names``."""
    for name in names:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
