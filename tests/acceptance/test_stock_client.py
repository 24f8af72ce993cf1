"""The Python client that the kernel's package brings, unchanged, runs a model here and fetches its results."""

import json
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from qanat.cli.client import Client
from qanat.cli.run import find_model
from qanat.cli.up.layout import read_json
from qanat.cli.up.platform import Platform
from qanat.demo import MODEL_ID, SUPPLIER_ID
from qanat.demo.portfolio import write_portfolio
from tests.acceptance.faults import small

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.xdist_group("platform")]
CHUNKS = ("--lookup-chunks", "2", "--analysis-chunks", "2")


def set_run_mode(client: Client, model: int, mode: str) -> None:
    client._call("PATCH", f"models/{model}/", json={"run_mode": mode})


@pytest.fixture
def model_of_v1(client: Client) -> Iterator[int]:
    """The demonstration model, for a while of run mode V1: the V1 API runs no other."""
    model = int(find_model(client, f"{SUPPLIER_ID}/{MODEL_ID}")["id"])
    set_run_mode(client, model, "V1")
    yield model
    set_run_mode(client, model, "V2")


def run(platform: Platform, model: int, folder: Path, *, version: str, more: tuple[str, ...] = ()) -> Path:
    """Call ``oasislmf api run`` as a user does; return where it put the results."""
    files = small(write_portfolio(folder / "portfolio", locations=40))
    login = read_json(platform.layout.admin)
    (folder / "login.json").write_text(json.dumps({name: login[name] for name in ("username", "password")}))
    (folder / "out").mkdir()
    command = [str(Path(sys.executable).with_name("oasislmf")), "api", "run", "--model-id", str(model)]
    command += ["--server-url", platform.url, "--server-version", version]
    command += ["--server-login-json", str(folder / "login.json"), "-a", str(files.settings)]
    command += ["-x", str(files.location), "-o", str(folder / "out"), *more]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=800)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "out"


def tables(folder: Path) -> dict[str, bytes]:
    """Return the result tables among what the client downloaded."""
    [archive] = [path for path in folder.glob("*.tar.gz") if "output" in path.name]
    with tarfile.open(archive) as members:
        found = {member.name: members.extractfile(member) for member in members if member.name.endswith(".csv")}
        return {name: stream.read() for name, stream in found.items() if stream is not None}


def test_v2_in_two_chunks(platform: Platform, client: Client, tmp_path: Path) -> None:
    model = int(find_model(client, f"{SUPPLIER_ID}/{MODEL_ID}")["id"])

    results = tables(run(platform, model, tmp_path, version="v2", more=CHUNKS))

    assert any("palt" in name and content.count(b"\n") > 1 for name, content in results.items())


def test_v1_gives_the_same_numbers_as_v2(platform: Platform, model_of_v1: int, client: Client, tmp_path: Path) -> None:
    one = tables(run(platform, model_of_v1, tmp_path / "one", version="v1"))

    set_run_mode(client, model_of_v1, "V2")
    two = tables(run(platform, model_of_v1, tmp_path / "two", version="v2", more=CHUNKS))

    assert one
    assert one == two
