"""Secrets that an installation makes for itself: files that only their owner may read."""

import os
import secrets
from pathlib import Path


def keep_secret(path: Path) -> str:
    """Return the secret in a file; make it where it is not there. Of two that make it at once, one wins."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(secrets.token_urlsafe(48))
    try:
        os.link(temporary, path)
    except FileExistsError:
        pass  # Somebody was first; theirs counts.
    finally:
        temporary.unlink()
    return path.read_text().strip()
