"""Make .venv and put the pinned requirements into it: from nothing but Python, make and git, as root or not.

    python3 scripts/bootstrap.py run      what `make demo` and `make up` need
    python3 scripts/bootstrap.py dev      that, and what `make check` and `make test` need

A fresh Debian or Ubuntu has neither pip nor the parts of venv that would bring it. So pip is looked for in five
places, from the cheapest to the one that always works: the distribution's own package, unpacked into a folder of ours.
pip then installs the pinned uv, checked by hash, and uv does the rest. Where nothing changed since the last time, a
stamp in .venv says so within a tenth of a second.

Only the standard library is here, and only syntax that old Pythons can read: they shall get a sentence, not a
SyntaxError.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
UV = VENV / "bin" / "uv"
STAMP = VENV / ".qanat-stamp"
REQUIREMENTS = ROOT / "requirements"
# The kernel's compiler (numba) serves these; see docs/decisions/0001-kernel-pins.md.
OLDEST, NEWEST = (3, 11), (3, 13)
# dev holds all that run holds, in the same versions: whoever has it need not go back.
SERVED_BY = {"run": ("run", "dev"), "dev": ("dev",)}
CA_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")


class BootstrapFailed(Exception):
    """The environment cannot be made; the message says what to do."""


def main() -> int:
    """Do as told on the command line and return the exit status."""
    if sys.argv[1:] not in (["run"], ["dev"]):
        print("usage: python3 scripts/bootstrap.py run|dev", file=sys.stderr)
        return 2
    profile = sys.argv[1]
    try:
        if not OLDEST <= sys.version_info[:2] <= NEWEST:
            return with_another_python()
        with REQUIREMENTS.joinpath("bootstrap.txt").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # two makes at once: the second waits and finds the work done
            if not is_fresh(profile):
                install(profile)
    except BootstrapFailed as failure:
        print(f"bootstrap: {failure}", file=sys.stderr)
        return 1
    return 0


def with_another_python() -> int:
    """Start again under a Python that serves, and return its exit status.

    Raises:
        BootstrapFailed: there is none.
    """
    for minor in range(NEWEST[1], OLDEST[1] - 1, -1):
        other = shutil.which(f"python3.{minor}")
        if other:
            return subprocess.call([other, *sys.argv])  # noqa: S603 - ourselves, under another Python
    here = ".".join(str(part) for part in sys.version_info[:3])
    message = (
        f"Qanat needs Python {OLDEST[0]}.{OLDEST[1]} to {NEWEST[0]}.{NEWEST[1]}, and this is {here}: "
        "install one of them beside it "
        "(on Ubuntu `apt-get install python3.12`, on macOS `brew install python@3.12`) and call make again, "
        "or name it: `make PYTHON=/path/to/python3.12 ...`."
    )
    raise BootstrapFailed(message)


def key(profile: str) -> str:
    """Return a fingerprint of everything that decides what is in .venv."""
    digest = hashlib.sha256(f"{sys.version} {sys.base_prefix} {ROOT}".encode())
    for path in (
        REQUIREMENTS / "bootstrap.txt",
        REQUIREMENTS / f"{profile}.txt",
        ROOT / "pyproject.toml",
        Path(__file__),
    ):
        digest.update(path.read_bytes())
    return f"{profile} {digest.hexdigest()}"


def is_fresh(profile: str) -> bool:
    """Tell whether .venv holds what ``profile`` needs."""
    if not (STAMP.is_file() and PYTHON.exists()):
        return False
    stamp = STAMP.read_text()
    return any(stamp == key(other) for other in SERVED_BY[profile])


def install(profile: str) -> None:
    """Bring .venv to what ``profile`` needs.

    Raises:
        BootstrapFailed: a way that should have worked did not.
    """
    print(f"Preparing .venv for `{profile}` (once, and after changes of requirements/) ...", flush=True)
    # Development stays development: `make demo` after `make test` takes nothing away.
    if STAMP.is_file() and STAMP.read_text().startswith("dev "):
        profile = "dev"
    STAMP.unlink(missing_ok=True)
    environment = {
        name: value for name, value in os.environ.items() if name not in {"VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME"}
    }
    with tempfile.TemporaryDirectory(prefix="qanat-bootstrap-") as scratch:
        if not CA_BUNDLE.is_file() and shutil.which("apt-get") and "SSL_CERT_FILE" not in environment:
            bundle = fetched_certificates(Path(scratch))
            environment.update(SSL_CERT_FILE=bundle, PIP_CERT=bundle)
        if not has_pinned_uv():
            install_uv(environment, Path(scratch))
        wanted = [str(REQUIREMENTS / name) for name in (f"{profile}.txt", "bootstrap.txt")]
        uv = [str(UV), "pip"]
        here = ["--python", str(PYTHON), "--quiet"]
        # Compiled now: where Python may not write beside the sources, each start would compile all it imports.
        run([*uv, "sync", *here, "--compile-bytecode", "--require-hashes", *wanted], environment)
        run([*uv, "install", *here, "--no-deps", "--no-build-isolation", "--editable", str(ROOT)], environment)
    STAMP.write_text(key(profile))


def has_pinned_uv() -> bool:
    """Tell whether .venv works under this Python and holds the pinned uv."""
    if not (UV.exists() and PYTHON.exists()):
        return False
    asked = subprocess.run(  # noqa: S603
        [str(PYTHON), "-c", "import sys; print(sys.version, sys.base_prefix)"],
        capture_output=True,
        text=True,
        check=False,
    )
    version = subprocess.run([str(UV), "--version"], capture_output=True, text=True, check=False)  # noqa: S603
    if asked.returncode or version.returncode or asked.stdout.strip() != f"{sys.version} {sys.base_prefix}".strip():
        return False
    return f"\nuv=={version.stdout.split()[1]} " in REQUIREMENTS.joinpath("bootstrap.txt").read_text()


def install_uv(environment: dict[str, str], scratch: Path) -> None:
    """Make .venv afresh and put the pinned uv into it, by the first way that this machine offers.

    Raises:
        BootstrapFailed: it offers none.
    """
    shutil.rmtree(VENV, ignore_errors=True)
    pinned = ["--require-hashes", "--no-deps", "--requirement", str(REQUIREMENTS / "bootstrap.txt")]
    uv = shutil.which("uv")
    if uv:
        run([uv, "venv", "--quiet", "--python", sys.executable, str(VENV)], environment)
        run([uv, "pip", "install", "--quiet", "--python", str(PYTHON), *pinned], environment)
        return
    if importlib.util.find_spec("venv") is None:
        message = (
            "this Python has no venv module: install your distribution's package of it (often python3-venv) "
            "and call make again."
        )
        raise BootstrapFailed(message)
    run([sys.executable, "-m", "venv", "--without-pip", str(VENV)], environment)
    pip = [str(PYTHON), pip_archive(scratch)]
    quietly = ["--quiet", "--disable-pip-version-check", "--no-input", "--ignore-installed"]
    run([*pip, "install", *quietly, *pinned], environment)


def pip_archive(scratch: Path) -> str:
    """Return a path that Python can be started on to be pip: a package's folder, or a folder within a wheel.

    Raises:
        BootstrapFailed: there is no pip here and no way to fetch it.
    """
    bundled = sysconfig.get_config_var("WHEEL_PKG_DIR")  # where a distribution keeps ensurepip's wheels
    folders = [Path(bundled)] if bundled else []
    ensurepip = importlib.util.find_spec("ensurepip")
    if ensurepip is not None and ensurepip.origin:
        folders.append(Path(ensurepip.origin).parent / "_bundled")
    folders.append(Path("/usr/share/python-wheels"))
    for folder in folders:
        for wheel in sorted(folder.glob("pip-*.whl"), reverse=True):
            return str(wheel / "pip")
    pip = importlib.util.find_spec("pip")
    if pip is not None and pip.origin:
        return str(Path(pip.origin).parent)
    if shutil.which("apt-get") and shutil.which("dpkg-deb"):
        for wheel in unpacked("python3-pip-whl", scratch).glob("usr/share/python-wheels/pip-*.whl"):
            return str(wheel / "pip")
    message = (
        "there is no pip, no uv and no way to fetch one here: install uv, or your distribution's package "
        "(python3-pip, or python3-venv), and call make again."
    )
    raise BootstrapFailed(message)


def unpacked(package: str, scratch: Path) -> Path:
    """Fetch a package of the distribution and unpack it into a folder of ours.

    Root is not needed, and nothing of the system changes.

    Raises:
        BootstrapFailed: the package cannot be fetched.
    """
    folder = scratch / package
    if folder.is_dir():
        return folder
    folder.mkdir()
    print(f"Fetching {package} from the distribution ...", flush=True)
    state, cache = scratch / "apt-state", scratch / "apt-cache"
    (state / "lists" / "partial").mkdir(parents=True, exist_ok=True)
    (cache / "archives" / "partial").mkdir(parents=True, exist_ok=True)
    own_lists = [
        f"-oDir::State={state}",
        "-oDir::State::status=/var/lib/dpkg/status",
        f"-oDir::Cache={cache}",
        "-oAPT::Sandbox::User=",
    ]
    # The lists of packages may be missing or too old: then we fetch our own.
    plain = ["apt-get", "-qq", "-oAPT::Sandbox::User=", "download", package]
    if subprocess.run(plain, cwd=folder, capture_output=True, check=False).returncode:  # noqa: S603
        for command in (["update"], ["download", package]):
            fetch = ["apt-get", "-qq", *own_lists, *command]
            done = subprocess.run(fetch, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603
            if done.returncode:
                message = (
                    f"apt-get cannot fetch {package} ({done.stderr.strip()[-300:]}): look at the network, "
                    "or install python3-pip, and call make again."
                )
                raise BootstrapFailed(message)
    for archive in folder.glob("*.deb"):
        run(["dpkg-deb", "-x", str(archive), str(folder)], dict(os.environ))
    return folder


def fetched_certificates(scratch: Path) -> str:
    """Return a bundle of the distribution's certificate authorities, for a machine without.

    apt checks the package by its signature, so this trusts nothing that was not trusted already.

    Raises:
        BootstrapFailed: the package cannot be fetched.
    """
    bundle = scratch / "ca-certificates.crt"
    found = sorted(unpacked("ca-certificates", scratch).glob("usr/share/ca-certificates/mozilla/*.crt"))
    bundle.write_text("".join(path.read_text() for path in found))
    return str(bundle)


def run(command: list[str], environment: dict[str, str]) -> None:
    """Run a command.

    Raises:
        BootstrapFailed: it failed; its own words stand above.
    """
    if subprocess.run(command, env=environment, cwd=ROOT, check=False).returncode:  # noqa: S603 - commands written above
        message = (
            f"`{' '.join(command)}` failed, see above: look at the network and at the space on the disk, "
            "then call make again."
        )
        raise BootstrapFailed(message)


if __name__ == "__main__":
    sys.exit(main())
