"""Losses are read from an output archive as the Open Results Data tables say."""

import csv
import io
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qanat.demo.results import NoLosses, read_losses

Table = Sequence[Sequence[object]]
PALT = ("SummaryId", "SampleType", "MeanLoss", "SDLoss")
EPT = ("SummaryId", "EPCalc", "EPType", "ReturnPeriod", "Loss")
MEAN_OF_SAMPLES, MEAN_OF_DISTRIBUTIONS = 2, 1
FULL_UNCERTAINTY, PER_SAMPLE = 2, 3
OEP, OEP_TAIL, AEP, AEP_TAIL = 1, 2, 3, 4


def archive(path: Path, tables: dict[str, Table]) -> Path:
    """Write an archive as the kernel leaves it: every table beneath ``output/``."""
    with tarfile.open(path, "w:gz") as tar:
        for name, rows in tables.items():
            text = io.StringIO()
            csv.writer(text, lineterminator="\n").writerows(rows)
            member = tarfile.TarInfo(f"output/{name}")
            content = text.getvalue().encode()
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def test_average_annual_losses_are_the_means_of_the_samples(tmp_path: Path) -> None:
    path = archive(
        tmp_path / "output.tar.gz",
        {
            "gul_S1_palt.csv": [PALT, (1, MEAN_OF_DISTRIBUTIONS, 900.0, 0), (1, MEAN_OF_SAMPLES, 1000.5, 0)],
            "il_S1_palt.csv": [PALT, (1, MEAN_OF_SAMPLES, 600.0, 0), (1, MEAN_OF_DISTRIBUTIONS, 500.0, 0)],
            "ri_S1_palt.csv": [PALT, (1, MEAN_OF_SAMPLES, 250.0, 0)],
        },
    )

    losses = read_losses(path).perspectives

    assert {name: view.average_annual_loss for name, view in losses.items()} == {"gul": 1000.5, "il": 600, "ri": 250}
    assert [view.name for view in losses.values()] == ["Ground-up", "Insured", "Net of reinsurance"]


def test_without_samples_the_average_annual_loss_is_the_mean_of_the_distributions(tmp_path: Path) -> None:
    path = archive(tmp_path / "output.tar.gz", {"gul_S1_palt.csv": [PALT, (1, MEAN_OF_DISTRIBUTIONS, 900.0, 0)]})

    losses = read_losses(path).perspectives

    assert losses["gul"].average_annual_loss == 900.0


def test_a_curve_is_of_its_own_type_with_full_uncertainty_and_of_the_whole_portfolio(tmp_path: Path) -> None:
    rows: Table = [
        EPT,
        (1, FULL_UNCERTAINTY, OEP, 100, 11.0),
        (1, FULL_UNCERTAINTY, AEP, 100, 22.0),
        (1, FULL_UNCERTAINTY, OEP_TAIL, 100, 33.0),
        (1, FULL_UNCERTAINTY, AEP_TAIL, 100, 44.0),
        (1, PER_SAMPLE, OEP, 100, 55.0),
        (1, PER_SAMPLE, AEP, 100, 66.0),
        (2, FULL_UNCERTAINTY, OEP, 100, 77.0),
    ]

    gross = read_losses(archive(tmp_path / "output.tar.gz", {"gul_S1_ept.csv": rows})).perspectives["gul"]

    assert gross.oep == {100.0: 11.0}
    assert gross.aep == {100.0: 22.0}
    assert gross.average_annual_loss is None


CURVE = st.lists(st.floats(0, 1e12), min_size=1, max_size=13).map(sorted)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(losses=CURVE, data=st.data())
def test_losses_grow_with_the_return_period_in_whatever_order_the_table_lists_them(
    tmp_path: Path, losses: list[float], data: st.DataObject
) -> None:
    points = list(enumerate(losses, start=2))
    rows = [(1, FULL_UNCERTAINTY, OEP, period, loss) for period, loss in data.draw(st.permutations(points))]

    path = archive(tmp_path / "output.tar.gz", {"gul_S1_ept.csv": [EPT, *rows]})
    curve = read_losses(path).perspectives["gul"].oep

    assert [curve[period] for period in sorted(curve)] == losses
    assert sorted(curve) == [float(period) for period, _ in points]


def test_other_summary_sets_and_other_files_are_left_alone(tmp_path: Path) -> None:
    path = archive(
        tmp_path / "output.tar.gz",
        {
            "gul_S1_palt.csv": [PALT, (1, MEAN_OF_SAMPLES, 10.0, 0)],
            "gul_S2_palt.csv": [PALT, (1, MEAN_OF_SAMPLES, 99.0, 0)],
            "gul_S1_summary-info.csv": [("summary_id", "tiv"), (1, 5)],
        },
    )

    losses = read_losses(path).perspectives

    assert set(losses) == {"gul"}
    assert losses["gul"].average_annual_loss == 10.0


def test_an_archive_without_losses_says_which_outputs_to_ask_for(tmp_path: Path) -> None:
    path = archive(tmp_path / "output.tar.gz", {"gul_S1_summary-info.csv": [("summary_id", "tiv"), (1, 5)]})

    with pytest.raises(NoLosses, match="ask for alt_period and ept in the analysis settings"):
        read_losses(path)


@pytest.mark.parametrize("content", [b"", b"not an archive"], ids=["empty", "text"])
def test_what_is_no_archive_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "output.tar.gz").write_bytes(content)

    with pytest.raises(NoLosses, match=r"output\.tar\.gz cannot be read as an output archive"):
        read_losses(tmp_path / "output.tar.gz")


def test_an_archive_that_is_not_there_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(NoLosses, match=r"gone\.tar\.gz cannot be read"):
        read_losses(tmp_path / "gone.tar.gz")


def test_an_archive_that_was_cut_off_is_refused_by_name(tmp_path: Path) -> None:
    rows = [(1, FULL_UNCERTAINTY, OEP, period, period * 0.37) for period in range(1, 20_000)]
    path = archive(tmp_path / "output.tar.gz", {"gul_S1_ept.csv": [EPT, *rows]})
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    with pytest.raises(NoLosses, match=r"output\.tar\.gz cannot be read"):
        read_losses(path)


def test_a_table_that_lacks_a_column_is_refused_by_name(tmp_path: Path) -> None:
    path = archive(tmp_path / "output.tar.gz", {"gul_S1_palt.csv": [("SummaryId", "Loss"), (1, 5.0)]})

    with pytest.raises(NoLosses, match=r"output\.tar\.gz"):
        read_losses(path)


def test_average_and_curve_are_of_the_same_summary(tmp_path: Path) -> None:
    path = archive(
        tmp_path / "output.tar.gz",
        {
            "gul_S1_palt.csv": [PALT, (1, MEAN_OF_SAMPLES, 10.0, 0), (2, MEAN_OF_SAMPLES, 30.0, 0)],
            "gul_S1_ept.csv": [EPT, (1, FULL_UNCERTAINTY, OEP, 100, 5.0), (2, FULL_UNCERTAINTY, OEP, 100, 50.0)],
        },
    )

    gross = read_losses(path).perspectives["gul"]

    assert (gross.average_annual_loss, gross.oep) == (10.0, {100.0: 5.0})
