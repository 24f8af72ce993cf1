"""Where a platform on one machine keeps its things."""

import fcntl
import hashlib
import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from qanat.cli.errors import CommandFailed
from qanat.configuration import places


def default_data_dir() -> Path:
    """Return ``$QANAT_DATA_DIR``, else the user's XDG data directory."""
    given = os.environ.get("QANAT_DATA_DIR")
    return Path(given) if given else places.default_data_dir()


@dataclass(frozen=True)
class Layout:
    """The files of one platform, beneath its data directory."""

    root: Path

    @property
    def logs(self) -> Path:
        """One log for each process."""
        return self.root / "logs"

    @property
    def running(self) -> Path:
        """Where the platform listens, while it runs."""
        return self.root / "up.json"

    @property
    def admin(self) -> Path:
        """The first administrator's credentials, for this machine's own commands."""
        return self.root / "admin.json"

    @property
    def work(self) -> Path:
        """Where workers run steps."""
        return self.root / "work"

    @property
    def runtime(self) -> Path:
        """Sockets: their paths must be short, so they lie beside the system's other temporary files."""
        digest = hashlib.sha256(str(self.root.resolve()).encode()).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"qanat-{os.getuid()}-{digest}"

    def prepare(self) -> None:
        """Make the folders, for the owner's eyes only.

        Raises:
            CommandFailed: they cannot be made.
        """
        try:
            for folder in (self.root, self.logs, self.work, self.runtime):
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if self.runtime.stat().st_uid != os.getuid():
                message = f"{self.runtime} belongs to somebody else: remove it, or set TMPDIR to a folder of your own."
                raise CommandFailed(message)
        except OSError as error:
            message = f"{error.filename} cannot be made ({error.strerror}): choose another place with --data-dir."
            raise CommandFailed(message) from error

    def lock(self) -> TextIO:
        """Take the data directory for this process; the lock goes with the process, however it ends.

        Raises:
            CommandFailed: another platform runs here.
        """
        stream = (self.root / "lock").open("a+")
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            stream.close()
            where = read_json(self.running).get("url", "somewhere")
            message = (
                f"A platform runs in {self.root} already, at {where}: use it, stop it with Ctrl-C in its terminal, "
                "or give another --data-dir."
            )
            raise CommandFailed(message) from None
        return stream


def read_json(path: Path) -> dict[str, Any]:
    """Return a JSON object, or an empty one where there is none."""
    try:
        document = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}


def write_private(path: Path, document: dict[str, Any]) -> None:
    """Write a JSON object that only its owner may read, as a whole."""
    temporary = path.with_suffix(".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        json.dump(document, stream)
    temporary.replace(path)
