"""What needs no model: exposure validated, run and transformed, and losses combined, on a whole platform."""

import contextlib
import gzip
import json
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from qanat.cli.client import Client, ServerRefused
from qanat.cli.run import find_model
from qanat.cli.up.layout import Layout
from qanat.demo import MODEL_ID, SUPPLIER_ID
from qanat.demo.portfolio import DemoPortfolio, write_portfolio
from tests.acceptance.faults import Up, small
from tests.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.xdist_group("platform")]

FIELDS = ("location_file", "accounts_file", "reinsurance_info_file", "reinsurance_scope_file")
PIWIND = ("SourceLocOEDPiWind", "SourceAccOEDPiWind", "SourceReinsInfoOEDPiWind", "SourceReinsScopeOEDPiWind")
MAPPING = """
null_values: [""]
types:
  ID: {type: string}
  Value: {type: float, nullable: false}
transform:
  PortNumber: [{transformation: "1"}]
  AccNumber: [{transformation: "'A1'"}]
  LocNumber: [{transformation: ID}]
  CountryCode: [{transformation: "'US'"}]
  LocPerilsCovered: [{transformation: "'WTC'"}]
  LocCurrency: [{transformation: "'USD'"}]
  BuildingTIV: [{transformation: Value * 2}]
"""


class Portfolio:
    """A portfolio on the platform."""

    def __init__(self, client: Client, *files: Path) -> None:
        """Make one of the files, in the order of ``FIELDS``."""
        self.client = client
        self.id = client.post("portfolios/", {"name": "exposure"})["id"]
        for field, file in zip(FIELDS, files, strict=False):
            self.upload(field, file)

    def upload(self, field: str, file: Path) -> None:
        """Upload a file."""
        self.client.upload(f"portfolios/{self.id}/{field}/", file)

    def get(self, name: str = "") -> Any:  # noqa: ANN401 - JSON
        """Return what is at a route of the portfolio."""
        return self.client.get(f"portfolios/{self.id}/{name}")

    def ended(self, field: str) -> str:
        """Wait until a task is no longer under way; return its status."""
        until(lambda: self.get()[field] != "STARTED", what=f"{field} ends", seconds=600)
        return str(self.get()[field])

    def validated(self) -> str:
        """Validate; return the status."""
        self.client.post(f"portfolios/{self.id}/validate/")
        return self.ended("validation_status")

    def text(self, name: str) -> str | None:
        """Return a file as text, or None where there is none."""
        answer = self.client._http.get(f"v2/portfolios/{self.id}/{name}/")
        return answer.text if answer.is_success else None

    def transform(self, folder: Path, *, mapping: str, source: str, file_type: str = "location") -> None:
        """Ask for a file made from another format."""
        (folder / "mapping.yaml").write_text(mapping)
        (folder / "source.csv").write_text(source)
        with (folder / "mapping.yaml").open("rb") as first, (folder / "source.csv").open("rb") as second:
            parts = {
                "mapping_file": ("mapping.yaml", first, "application/octet-stream"),
                "transform_file": ("source.csv", second, "application/octet-stream"),
            }
            path = f"portfolios/{self.id}/exposure_transform/"
            answer = self.client._call("POST", path, data={"file_type": file_type}, files=parts)
        assert answer.json() == {"message": "in queue"}


@pytest.fixture
def demo(tmp_path: Path) -> DemoPortfolio:
    """A small portfolio."""
    return small(write_portfolio(tmp_path / "portfolio", locations=20))


def piwind_files(piwind: Path, suffix: str = ".csv") -> list[Path]:
    return [piwind / "inputs" / f"{name}{suffix}" for name in PIWIND]


def test_a_good_portfolio_is_valid(client: Client, demo: DemoPortfolio) -> None:
    portfolio = Portfolio(client, demo.location, demo.accounts)

    status = portfolio.validated()

    assert (status, portfolio.text("errors_file")) == ("RUN_COMPLETED", None)
    assert portfolio.get("validate/") == {
        "location_validated": True,
        "accounts_validated": True,
        "reinsurance_info_validated": None,
        "reinsurance_scope_validated": None,
    }


@pytest.mark.piwind
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_the_portfolio_of_piwind_is_valid(client: Client, piwind: Path, suffix: str) -> None:
    portfolio = Portfolio(client, *piwind_files(piwind, suffix))

    assert portfolio.validated() == "RUN_COMPLETED"
    assert set(portfolio.get("validate/").values()) == {True}
    assert [file["rows"] for file in portfolio.get("validation_report/")["files"]] == [12598, 2, 1, 2]


def zipped(content: bytes, target: Path) -> Path:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("location.csv", content)
    return target


def test_validating_a_good_zip_ends(client: Client, demo: DemoPortfolio, tmp_path: Path) -> None:
    portfolio = Portfolio(client, zipped(demo.location.read_bytes(), tmp_path / "location.zip"))

    assert portfolio.validated() == "RUN_COMPLETED"


def spoil(change: Callable[[bytes], bytes]) -> Callable[[Path, Path], Path]:
    def make(source: Path, folder: Path) -> Path:
        target = folder / "spoilt.csv"
        target.write_bytes(change(source.read_bytes()))
        return target

    return make


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (spoil(lambda content: content.splitlines(keepends=True)[0]), "a header and no rows: upload one with"),
        (spoil(lambda content: content.decode().encode("utf-16")), "encoded in UTF-16: save it as CSV in UTF-8"),
        (
            lambda source, folder: zipped(source.read_bytes() + bytes(200_000_000), folder / "bomb.zip"),
            "unpacks to more than 64 MiB",
        ),
        (spoil(gzip.compress), "VALID"),
    ],
    ids=["a header only", "UTF-16", "a bomb", "gzip by another name"],
)
def test_what_a_file_may_not_be(
    client: Client, demo: DemoPortfolio, tmp_path: Path, make: Callable[[Path, Path], Path], says: str
) -> None:
    portfolio = Portfolio(client, make(demo.location, tmp_path))

    status = portfolio.validated()

    if says == "VALID":
        assert status == "RUN_COMPLETED"
        return
    assert status == "ERROR"
    assert says in str(portfolio.text("errors_file"))
    assert portfolio.get("validate/")["location_validated"] is False


def with_cell(path: Path, column: str, value: str) -> None:
    """Change a cell of the first record."""
    head, first, *rest = path.read_text().splitlines()
    cells = first.split(",")
    cells[head.split(",").index(column)] = value
    path.write_text("\n".join([head, ",".join(cells), *rest]) + "\n")


def test_errors_are_told_by_row_and_go_when_the_file_is_mended(client: Client, demo: DemoPortfolio) -> None:
    good = demo.location.read_bytes()
    with_cell(demo.location, "OccupancyCode", "9")
    portfolio = Portfolio(client, demo.location)
    assert portfolio.validated() == "ERROR"
    [error] = portfolio.get("validation_report/")["errors"]
    assert {name: error[name] for name in ("file", "row", "column", "value", "check")} == {
        "file": "location_file",
        "row": 2,
        "column": "OccupancyCode",
        "value": "9",
        "check": "occupancy_code",
    }
    assert "row 2, column OccupancyCode: '9'" in str(portfolio.text("errors_file"))

    demo.location.write_bytes(good)
    portfolio.upload("location_file", demo.location)
    status = portfolio.validated()

    assert (status, portfolio.text("errors_file")) == ("RUN_COMPLETED", None)
    assert portfolio.get("validation_report/")["errors"] == []


def test_an_exposure_run_scales_with_its_loss_factor(client: Client, demo: DemoPortfolio) -> None:
    portfolio = Portfolio(client, demo.location, demo.accounts)

    tables = []
    for factor in (1.0, 0.5):
        client.post(f"portfolios/{portfolio.id}/exposure_run/", {"params": {"loss_factor": [factor]}})
        assert portfolio.ended("exposure_status") == "RUN_COMPLETED", portfolio.text("errors_file")
        tables.append(str(portfolio.text("exposure_run")).splitlines())

    place = tables[0][0].split(",").index("loss_gul")
    whole, half = ([float(row.split(",")[place]) for row in table[1:]] for table in tables)
    assert sum(whole) > 0
    assert half == pytest.approx([loss / 2 for loss in whole])


def test_an_exposure_run_that_fails_says_why_and_takes_it_back_later(client: Client, demo: DemoPortfolio) -> None:
    good = demo.location.read_bytes()
    with_cell(demo.location, "BuildingTIV", "plenty")
    portfolio = Portfolio(client, demo.location, demo.accounts)
    client.post(f"portfolios/{portfolio.id}/exposure_run/")
    assert portfolio.ended("exposure_status") == "ERROR"
    assert "'plenty' is not a number" in str(portfolio.text("errors_file"))
    assert portfolio.text("exposure_run") is None

    demo.location.write_bytes(good)
    portfolio.upload("location_file", demo.location)
    client.post(f"portfolios/{portfolio.id}/exposure_run/")

    assert portfolio.ended("exposure_status") == "RUN_COMPLETED"
    assert portfolio.text("errors_file") is None


def test_an_exposure_is_made_from_another_format_and_validated(client: Client, tmp_path: Path) -> None:
    portfolio = Portfolio(client)

    portfolio.transform(tmp_path, mapping=MAPPING, source="ID,Value\nx1,100\nx2,250\n")
    assert portfolio.ended("exposure_transform_status") == "RUN_COMPLETED", portfolio.text("errors_file")

    assert portfolio.ended("validation_status") == "RUN_COMPLETED", portfolio.text("errors_file")
    assert portfolio.get()["location_file"]["name"] == f"portfolio_{portfolio.id}_location_file.csv"
    rows = str(portfolio.text("location_file")).split()
    assert rows[1:] == ["1,A1,x1,US,WTC,USD,200.0", "1,A1,x2,US,WTC,USD,500.0"]


def test_a_transform_that_fails_leaves_the_exposure_as_it_was(
    client: Client, demo: DemoPortfolio, tmp_path: Path
) -> None:
    portfolio = Portfolio(client, demo.location)

    portfolio.transform(tmp_path, mapping=MAPPING, source="ID,Value\nx1,plenty\n")

    assert portfolio.ended("exposure_transform_status") == "ERROR"
    assert portfolio.get()["validation_status"] == "ERROR"
    assert "Cannot coerce Value (plenty) to float" in str(portfolio.text("errors_file"))
    assert portfolio.text("location_file") == demo.location.read_text()


def completed(client: Client, demo: DemoPortfolio, *, portfolio: int) -> int:
    """Run the demonstration model with event loss tables; return the analysis."""
    settings = json.loads(demo.settings.read_text())
    settings["gul_summaries"] = [{"id": 1, "ord_output": {"elt_moment": True, "elt_quantile": True}}]
    model = find_model(client, f"{SUPPLIER_ID}/{MODEL_ID}")["id"]
    asked = {"name": "to be combined", "portfolio": portfolio, "model": model, "settings": settings}
    analysis = int(client.post("analyses/", asked)["id"])
    client.post(f"analyses/{analysis}/generate_and_run/")
    until(lambda: client.get(f"analyses/{analysis}/")["status"].startswith("RUN_C"), what="it runs", seconds=600)
    return analysis


def test_the_losses_of_two_analyses_are_combined(client: Client, demo: DemoPortfolio, tmp_path: Path) -> None:
    portfolio = Portfolio(client, demo.location, demo.accounts)
    analyses = [completed(client, demo, portfolio=portfolio.id) for _ in range(2)]
    config = {"group_number_of_periods": 100, "group_mean": True, "group_alt": True, "group_plt": True}

    combined = client.post("analyses/combine/", {"analysis_ids": analyses, "config": config, "name": "both"})

    assert (combined["status"], combined["model"]) == ("RUN_STARTED", None)
    where = f"analyses/{combined['id']}/"
    until(lambda: client.get(where)["status"] != "RUN_STARTED", what="they are combined", seconds=300)
    assert client.get(where)["status"] == "RUN_COMPLETED", client._http.get(f"v2/{where}run_traceback_file/").text
    archive = client.download(f"{where}output_file/", tmp_path / "combined.tar.gz")
    assert archive is not None
    with tarfile.open(archive) as members:
        names = members.getnames()
    assert any("gplt" in name for name in names), names
    assert any("galt" in name for name in names), names
    assert "occurrence.bin" in client.get(f"analyses/{analyses[0]}/input_file_tar_list/")


def test_a_config_that_combine_cannot_use_ends_with_a_sentence(client: Client, demo: DemoPortfolio) -> None:
    portfolio = Portfolio(client, demo.location, demo.accounts)
    analysis = completed(client, demo, portfolio=portfolio.id)

    combined = client.post("analyses/combine/", {"analysis_ids": [analysis], "config": {}, "name": "without periods"})

    where = f"analyses/{combined['id']}/"
    until(lambda: client.get(where)["status"] == "RUN_ERROR", what="it fails", seconds=300)
    text = client._http.get(f"v2/{where}run_traceback_file/").text
    assert "'group_number_of_periods' is a required property" in text


def test_what_cannot_be_combined_is_refused_at_once(client: Client) -> None:
    with pytest.raises(ServerRefused, match="There is no analysis 999999"):
        client.post("analyses/combine/", {"analysis_ids": [999999], "config": {}, "name": "nothing"})


def internal_workers(up: Up) -> list[psutil.Process]:
    return [process for process in up.processes() if "server-internal" in _line(process)]


def runners(up: Up) -> list[psutil.Process]:
    return [process for process in up.processes() if "qanat.worker.runner" in _line(process)]


def _line(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.Error, OSError):
        return " ".join(process.cmdline())
    return ""


@pytest.mark.piwind
@pytest.mark.parametrize("victims", [internal_workers, runners], ids=["the worker", "its runner"])
def test_a_validation_outlives_the_death_of(
    victims: Callable[[Up], list[psutil.Process]], piwind: Path, demo_model: Path, tmp_path: Path
) -> None:
    layout = Layout(tmp_path / "data")
    layout.prepare()
    with Up(layout=layout, model=demo_model) as up, up.client() as client:
        portfolio = Portfolio(client, *piwind_files(piwind))
        client.post(f"portfolios/{portfolio.id}/validate/")
        until(lambda: runners(up), what="the validation is under way", every=0.01)
        assert portfolio.get()["validation_status"] == "STARTED"

        for victim in victims(up):
            victim.kill()

        assert portfolio.ended("validation_status") == "RUN_COMPLETED", portfolio.text("errors_file")
        assert set(portfolio.get("validate/").values()) == {True}
