"""Make the pinned requirements, or check that they still fit.

``make`` resolves pyproject.toml for every platform and Python that Qanat supports and writes requirements/*.txt with
the hashes of all files. ``check`` resolves again under the pins as constraints, offline where the cache allows it, and
compares: a dependency that was added, dropped or bounded otherwise shows up as a difference. No pin file may name a
host: each site installs from the index it trusts.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "requirements"
OLDEST_PYTHON = "3.11"


@dataclass(frozen=True, kw_only=True)
class PinFile:
    """One file of pins: where its wishes stand, and how much of pyproject.toml it takes."""

    name: str
    source: str
    extras: tuple[str, ...] = ()
    excludes: str = ""
    """File of packages that are wished for and not taken."""
    purpose: str

    @property
    def path(self) -> Path:
        """Return where it lies."""
        return REQUIREMENTS / self.name


# dev first: run takes its versions from there, so that what is tested is what runs.
PIN_FILES = (
    PinFile(name="bootstrap.txt", source="requirements/bootstrap.in", purpose="what makes everything else"),
    PinFile(
        name="dev.txt",
        source="pyproject.toml",
        extras=("server", "postgres", "s3", "azure", "worker", "embedded", "dev"),
        purpose="everything that `make check` and `make test` need",
    ),
    PinFile(
        name="run.txt",
        source="pyproject.toml",
        extras=("server", "worker", "embedded"),
        purpose="all that `make demo` and `make up` need on one machine",
    ),
    PinFile(
        name="client-2.4.5.txt",
        source="requirements/client-2.4.5.in",
        excludes="requirements/client-2.4.5.excludes",
        purpose="an older client of the Oasis Platform, for tests",
    ),
)


class PinsFailed(Exception):
    """The pins cannot be made or do not fit; the message says what to do."""


def resolve(pin_file: PinFile, *, output: Path, upgrade: bool, offline: bool) -> None:
    """Write the pins of one file to ``output``, preferring the versions that stand there already.

    Raises:
        PinsFailed: there is no set of versions that fits.
    """
    constraints = ["requirements/constraints.txt"]
    if pin_file.name == "run.txt":
        constraints.append("requirements/dev.txt")
    elif pin_file.name == "dev.txt":
        constraints.append("requirements/bootstrap.txt")
    command = [
        str(Path(sys.executable).with_name("uv")),
        *("pip", "compile", pin_file.source, "--quiet"),
        *("--universal", "--python-version", OLDEST_PYTHON),
        *("--generate-hashes", "--no-emit-index-url", "--no-emit-find-links", "--no-config", "--no-header"),
        *("--output-file", str(output)),
        *(argument for path in constraints for argument in ("--constraints", path)),
        *(argument for extra in pin_file.extras for argument in ("--extra", extra)),
        *(["--excludes", pin_file.excludes] if pin_file.excludes else []),
        *(["--upgrade"] if upgrade else []),
        *(["--offline"] if offline else []),
    ]
    # Settings of this machine (an index of its own, extra links) must not find their way into the pins.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("UV_", "PIP_"))}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        message = f"requirements/{pin_file.name} cannot be resolved:\n{done.stderr.strip()}"
        raise PinsFailed(message)


def make(*, upgrade: bool) -> None:
    """Write all pin files.

    Raises:
        PinsFailed: there is no set of versions that fits.
    """
    for pin_file in PIN_FILES:
        resolve(pin_file, output=pin_file.path, upgrade=upgrade, offline=False)
        header = f"# Made by `make pins`: {pin_file.purpose}. Edit {pin_file.source} instead.\n"
        pin_file.path.write_text(header + pin_file.path.read_text())
        print(f"requirements/{pin_file.name}: {len(pins(pin_file.path.read_text()))} packages")


def pins(text: str) -> set[str]:
    """Return the pins in a file, each with its environment marker, without hashes and comments."""
    return {line.removesuffix("\\").strip() for line in text.splitlines() if re.match(r"[A-Za-z0-9]", line)}


def check(pin_file: PinFile) -> list[str]:
    """Return what is wrong with one pin file, a sentence each.

    Raises:
        PinsFailed: the pins contradict pyproject.toml.
    """
    present = pin_file.path.read_text()
    findings = []
    if "://" in present:
        findings.append(f"requirements/{pin_file.name} names a host; make it again with `make pins`.")
    unhashed = [block for block in re.split(r"\n(?=[A-Za-z0-9])", present)[1:] if "--hash=sha256:" not in block]
    findings += [f"requirements/{pin_file.name} has no hash for {block.split()[0]}." for block in unhashed]
    with tempfile.TemporaryDirectory() as directory:
        again = Path(directory) / pin_file.name
        again.write_text(present)
        try:
            resolve(pin_file, output=again, upgrade=False, offline=True)
        except PinsFailed:  # nothing cached, as on a fresh machine
            resolve(pin_file, output=again, upgrade=False, offline=False)
        wanted = pins(again.read_text())
    findings += [
        f"requirements/{pin_file.name} lacks {pin}; run `make pins`." for pin in sorted(wanted - pins(present))
    ]
    findings += [
        f"requirements/{pin_file.name} need not have {pin}; run `make pins`." for pin in sorted(pins(present) - wanted)
    ]
    return findings


def main() -> int:
    """Do as told on the command line and return the exit status."""
    parser = argparse.ArgumentParser(description="Make or check the pinned requirements.")
    commands = parser.add_subparsers(dest="command", required=True)
    making = commands.add_parser("make", help="write requirements/*.txt")
    making.add_argument(
        "--upgrade", action="store_true", help="take the newest versions that fit, rather than the present ones"
    )
    commands.add_parser("check", help="say where requirements/*.txt no longer fit")
    arguments = parser.parse_args()
    try:
        if arguments.command == "make":
            make(upgrade=arguments.upgrade)
            return 0
        findings = [finding for pin_file in PIN_FILES for finding in check(pin_file)]
    except PinsFailed as failure:
        print(failure, file=sys.stderr)
        return 1
    print("\n".join(findings) or "The pins fit.")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
