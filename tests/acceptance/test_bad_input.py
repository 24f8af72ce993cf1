"""Bad input ends with a sentence that says what to do, and the analysis in the right status."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from qanat.cli.client import Client, ServerRefused
from qanat.cli.errors import CommandFailed
from qanat.cli.run import Wish, execute
from qanat.cli.up.layout import Layout
from qanat.demo import MODEL_ID, SUPPLIER_ID
from qanat.demo.portfolio import DemoPortfolio, write_portfolio
from tests.acceptance.faults import Runs, Up, small
from tests.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.xdist_group("platform")]


@pytest.fixture
def portfolio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DemoPortfolio:
    """A small portfolio to spoil."""
    monkeypatch.chdir(tmp_path)
    return small(write_portfolio(tmp_path / "portfolio", locations=20))


def run(client: Client, portfolio: DemoPortfolio, folder: Path) -> None:
    """Run its losses."""
    wish = Wish(
        model=f"{SUPPLIER_ID}/{MODEL_ID}",
        files={"location_file": portfolio.location, "accounts_file": portfolio.accounts},
        settings=portfolio.settings,
        output=folder,
    )
    execute(client, wish, quiet=True)


def without_a_column(text: str) -> str:
    head, *rows = text.splitlines()
    place = head.split(",").index("LocPerilsCovered")
    return "\n".join(",".join(c for i, c in enumerate(row.split(",")) if i != place) for row in [head, *rows])


def with_a_word_for_a_number(text: str) -> str:
    head, first, *rows = text.splitlines()
    place = head.split(",").index("BuildingTIV")
    cells = first.split(",")
    cells[place] = "plenty"
    return "\n".join([head, ",".join(cells), *rows])


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (without_a_column, "LocPerilsCovered"),
        (with_a_word_for_a_number, "location file, line 2, column BuildingTIV: 'plenty' is not a number"),
        (lambda _: "\x00\x01\x02 this is no table\nnor is this\n", "PortNumber"),
    ],
    ids=["a column is missing", "a word for a number", "no table at all"],
)
def test_an_exposure_that_cannot_be_read(
    client: Client, portfolio: DemoPortfolio, tmp_path: Path, spoil: Callable[[str], str], says: str
) -> None:
    portfolio.location.write_text(spoil(portfolio.location.read_text()))

    with pytest.raises(CommandFailed) as failure:
        run(client, portfolio, tmp_path)

    assert "INPUTS_GENERATION_ERROR" in str(failure.value)
    assert says.lower() in str(failure.value).splitlines()[0].lower()


def test_an_exposure_outside_the_model(client: Client, portfolio: DemoPortfolio, tmp_path: Path) -> None:
    head, *rows = portfolio.location.read_text().splitlines()
    latitude = head.split(",").index("Latitude")
    moved = [",".join("51.5" if i == latitude else c for i, c in enumerate(row.split(","))) for row in rows]
    portfolio.location.write_text("\n".join([head, *moved]))

    with pytest.raises(CommandFailed, match="INPUTS_GENERATION_NO_KEYS"):
        run(client, portfolio, tmp_path)


def test_settings_that_break_their_schema(client: Client, portfolio: DemoPortfolio, tmp_path: Path) -> None:
    settings = json.loads(portfolio.settings.read_text())
    portfolio.settings.write_text(json.dumps({**settings, "number_of_samples": "many"}))

    with pytest.raises(ServerRefused, match="number_of_samples") as refused:
        run(client, portfolio, tmp_path)

    assert refused.value.status == 400


@pytest.mark.parametrize("folder", ["", "empty"], ids=["is not there", "holds no model"])
def test_a_model_directory_that(folder: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    command = [sys.executable, "-m", "qanat.cli.main", "up", "--no-demo-model", "--data-dir", str(tmp_path / "data")]

    done = subprocess.run(
        [*command, "--model", str(tmp_path / (folder or "nowhere"))], capture_output=True, text=True, check=False
    )

    assert done.returncode == 1
    assert "oasislmf.json" in done.stderr + done.stdout
    assert "Traceback" not in done.stderr + done.stdout


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[Path, str], None]]:
    """Put a file system of some size under a folder, or give one that is there another size."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root can make a file system to fill")
    mounted: list[Path] = []

    def mount(folder: Path, size: str) -> None:
        options = f"size={size}" if folder not in mounted else f"remount,size={size}"
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=False)  # noqa: S607
        if done.returncode:
            pytest.skip("a file system cannot be mounted here")
        mounted.append(folder)

    yield mount
    for folder in set(mounted):
        subprocess.run(["umount", "--lazy", str(folder)], check=True)  # noqa: S607


def test_a_full_disk_loses_nothing(small_disk: Callable[[Path, str], None], demo_model: Path, tmp_path: Path) -> None:
    layout = Layout(tmp_path / "data")
    layout.prepare()
    media = layout.root / "media"
    media.mkdir()
    for folder in (media, layout.work):
        small_disk(folder, "256k")
    with Up(layout=layout, model=demo_model) as up, up.client() as client:
        big = tmp_path / "big.csv"
        big.write_bytes(b"x" * 2**20)
        portfolio = client.post("portfolios/", {"name": "too big"})["id"]
        with pytest.raises(ServerRefused) as refused:
            client.upload(f"portfolios/{portfolio}/location_file/", big)
        assert refused.value.status == 507

        small_disk(media, "400m")
        client.upload(f"portfolios/{portfolio}/location_file/", big)
        runs = Runs(client, tmp_path)
        analysis = runs.start()
        until(lambda: any(runs.retries(analysis)), what="a step finds its disk full and waits")
        assert runs.status(analysis).endswith("STARTED")
        assert "disk is full" in runs.logs(analysis)

        small_disk(layout.work, "400m")
        until(lambda: runs.ended(analysis), what="the run goes on when there is room")
