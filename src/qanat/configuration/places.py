"""Where things lie where nobody says."""

import os
import tempfile
from pathlib import Path


def default_data_dir() -> Path:
    """Return where a laptop keeps the platform's data: the XDG data directory of the user."""
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "qanat"


def default_work_dir() -> Path:
    """Return where steps run where nobody says: one folder for each user of this host."""
    return Path(tempfile.gettempdir()) / f"qanat-worker-{os.getuid()}"
