"""How files in storage are named to stock workers, and which of those that they name are theirs to give.

A stock worker writes ``<uuid>.<ext>`` into the storage that it shares with the server, and names it (wire contract,
section 7). Whatever the server wrote is known to it by a row or lies in a folder: neither can be given as a result.
"""

import mimetypes
import re
import uuid
from pathlib import PurePosixPath
from typing import Final

from qanat.server.files.models import StoredFile
from qanat.server.files.storage import key_of, link_of, storage
from qanat.server.runs.claims import attempt_prefix
from qanat.server.runs.models import Step
from qanat.server.runs.projection import FileRef
from qanat.storage.port import ObjectMissing

NAME: Final = re.compile(
    r"(?:[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?P<suffix>(?:\.[A-Za-z0-9]{1,16}){0,3})"
)
WORKERS_LOCATION: Final = "worker"
"""Beginning of the names of objects that stock workers write to a bucket, as they come configured."""


class ReferenceRefused(Exception):
    """A worker names a file that is not its to give; the message says why."""


def reference_to(key: str) -> str:
    """Return how a stock worker finds an object: by its name in the shared folder, bucket or container."""
    return link_of(key)


def take(reference: object, *, step: Step) -> tuple[str, FileRef]:
    """Give the attempt of a step an object of its own of a file that its worker names.

    Returns:
        The key of the worker's own object, which stays until the run is tidied up, and the attempt's.

    Raises:
        ReferenceRefused: the file is not there, or it is not the worker's to give.
    """
    key, suffix = theirs(reference)
    fresh = f"{attempt_prefix(step)}/{uuid.uuid4().hex}{suffix}"
    try:
        size = storage().copy(key, fresh)
    except ObjectMissing as error:
        raise ReferenceRefused(str(error)) from error
    content_type = "application/gzip" if suffix.endswith(".gz") else mimetypes.guess_type(f"x{suffix}")[0]
    return key, FileRef(
        key=fresh, filename=f"file{suffix}", content_type=content_type or "application/octet-stream", size=size
    )


def theirs(reference: object) -> tuple[str, str]:
    """Return key and suffix of a file that a worker names.

    Raises:
        ReferenceRefused: it is not there, or it is not the worker's to give.
    """
    key = key_of(str(reference))
    path = PurePosixPath(key)
    match = NAME.fullmatch(path.name)
    if match is None or key not in {path.name, f"{WORKERS_LOCATION}/{path.name}"}:
        message = f"The worker names '{str(reference)[:200]}', which is no file that a worker writes for the server."
        raise ReferenceRefused(message)
    if StoredFile.objects.filter(key=key).exists():
        message = f"The worker names '{key}', which belongs to somebody else."
        raise ReferenceRefused(message)
    local = storage().local_path(key)
    if (local is not None and local.is_symlink()) or not storage().exists(key):
        message = (
            f"The worker names '{key}', which is not in the server's storage: worker and server must share one, see "
            "docs/how-to/stock-workers.md."
        )
        raise ReferenceRefused(message)
    return key, match["suffix"].lower()
