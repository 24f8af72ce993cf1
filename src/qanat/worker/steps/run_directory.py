"""The kernel's run directory on its way from the step that prepares it to the steps that use it.

The kernel links the model's data files into the run directory. They can be very large, and every worker of the model has
them; so the archive carries a list of those links in their stead, and each worker links its own files.
"""

import json
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Final

from qanat.worker import archives
from qanat.worker.errors import ModelFailed

LINKS: Final = "model-links.json"


def pack(run: Path, archive: Path, *, model_data: Path | None, scratch: Path) -> None:
    """Write the run directory to ``archive``; links into ``model_data`` become entries of a list."""
    links: dict[str, str] = {}
    members: list[tuple[str, Path]] = []
    data = model_data.resolve() if model_data is not None else None
    for path in _walk(run):
        name = path.relative_to(run).as_posix()
        target = path.resolve()
        if path.is_symlink() and data is not None and target.is_relative_to(data):
            links[name] = target.relative_to(data).as_posix()
        elif path.is_file():
            members.append((name, path))
        elif path.is_dir() and not any(path.iterdir()):
            members.append((name, path))
    listing = scratch / LINKS
    listing.write_text(json.dumps(links, indent=1, sort_keys=True), encoding="utf-8")
    archives.pack([(LINKS, listing), *members], archive)


def unpack(archive: Path, run: Path, *, model_data: Path | None) -> None:
    """Restore a run directory with links to this worker's own ``model_data``.

    Raises:
        ModelFailed: a linked model data file does not exist on this worker.
        archives.ArchiveRefused: the archive is not one of ours.
    """
    archives.unpack(archive, run)
    listing = run / LINKS
    links: dict[str, str] = json.loads(listing.read_text(encoding="utf-8")) if listing.is_file() else {}
    for name, target in links.items():
        if not (_inside(name) and _inside(target)):
            message = f"The archive {archive.name} links '{name}' to '{target}', which leads outside."
            raise archives.ArchiveRefused(message)
        source = None if model_data is None else model_data / target
        if source is None or not source.exists():
            message = (
                f"The model's data file '{target}' does not exist in {model_data} on this worker, but did on the worker that "
                "prepared the run. All workers of a model must have the same model data."
            )
            raise ModelFailed(message)
        link = run / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(source.resolve())
    listing.unlink(missing_ok=True)
    # Directories that the kernel expects, should the archive have lost empty ones.
    for folder in ("fifo", "work", "output", "static", "log"):
        (run / folder).mkdir(exist_ok=True)


def _walk(directory: Path) -> Iterator[Path]:
    """Yield everything below ``directory``, sorted, without descending into links."""
    for path in sorted(directory.iterdir()):
        yield path
        if path.is_dir() and not path.is_symlink():
            yield from _walk(path)


def _inside(name: str) -> bool:
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and path.parts != ()
