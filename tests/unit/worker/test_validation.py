"""ods-tools judges an exposure; each of its errors is told by file, row and column."""

from collections.abc import Callable
from pathlib import Path

import pytest

from qanat.contract import labels
from qanat.demo.portfolio import write_portfolio
from qanat.worker.kernel.findings import Finding
from qanat.worker.kernel.validation import MOST_OF_ONE_KIND, Report, validate

Spoil = Callable[[list[list[str]]], None]


@pytest.fixture
def exposure(tmp_path: Path) -> dict[str, Path]:
    """The files of the demonstration portfolio."""
    files = write_portfolio(tmp_path / "portfolio", locations=20)
    return {
        labels.LOCATION: files.location,
        labels.ACCOUNTS: files.accounts,
        labels.REINSURANCE_INFO: files.reinsurance_info,
        labels.REINSURANCE_SCOPE: files.reinsurance_scope,
    }


def check(exposure: dict[str, Path], tmp_path: Path) -> Report:
    work = tmp_path / "work"
    work.mkdir()
    return validate(exposure, work=work)


def change(path: Path, spoil: Spoil) -> None:
    """Change the cells of a CSV file without quotes."""
    cells = [line.split(",") for line in path.read_text().splitlines()]
    spoil(cells)
    path.write_text("\n".join(",".join(row) for row in cells) + "\n")


def cell(row: int, column: str, value: str) -> Spoil:
    """Change one cell; rows are counted as spreadsheets do."""

    def spoil(cells: list[list[str]]) -> None:
        cells[row - 1][cells[0].index(column)] = value

    return spoil


def without(column: str) -> Spoil:
    def spoil(cells: list[list[str]]) -> None:
        place = cells[0].index(column)
        for row in cells:
            del row[place]

    return spoil


def with_another(column: str) -> Spoil:
    def spoil(cells: list[list[str]]) -> None:
        for row in cells:
            row.append("1")
        cells[0][-1] = column

    return spoil


def told(finding: Finding) -> tuple[str, str, int | None, str | None, str | None]:
    return finding.check, finding.file, finding.row, finding.column, finding.value


def test_a_good_exposure_is_valid(exposure: dict[str, Path], tmp_path: Path) -> None:
    report = check(exposure, tmp_path)

    assert report.findings == []
    assert report.as_json()["valid"] is True
    assert [file["checked"] for file in report.as_json()["files"]] == [True] * 4


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (cell(4, "LocPerilsCovered", "WTC;ZZZ"), ("perils", "location_file", 4, "LocPerilsCovered", "WTC;ZZZ")),
        (cell(3, "OccupancyCode", "9"), ("occupancy_code", "location_file", 3, "OccupancyCode", "9")),
        (cell(2, "ConstructionCode", "1"), ("construction_code", "location_file", 2, "ConstructionCode", "1")),
        (cell(21, "Latitude", "123"), ("valid_values", "location_file", 21, "Latitude", "123.0")),
        (cell(5, "AccNumber", ""), ("required_fields", "location_file", 5, "AccNumber", "")),
        (cell(5, "BuildingTIV", "plenty"), ("number", "location_file", 5, "BuildingTIV", "plenty")),
        (without("LocCurrency"), ("required_fields", "location_file", None, "LocCurrency", None)),
        (with_another("Colour"), ("unknown_column", "location_file", None, "Colour", None)),
    ],
    ids=["peril", "occupancy", "construction", "range", "blank", "number", "column missing", "column unknown"],
)
def test_an_error_is_told_by_file_row_and_column(
    exposure: dict[str, Path], tmp_path: Path, spoil: Spoil, expected: tuple[object, ...]
) -> None:
    change(exposure[labels.LOCATION], spoil)

    report = check(exposure, tmp_path)

    assert [told(finding) for finding in report.findings] == [expected]
    assert report.as_json()["total"] == 1


def test_a_country_code_that_is_none(exposure: dict[str, Path], tmp_path: Path) -> None:
    change(exposure[labels.LOCATION], cell(6, "CountryCode", "QQ"))

    [finding] = check(exposure, tmp_path).findings

    assert (finding.check, finding.row, finding.column) == ("country_and_area_code", 6, "CountryCode")
    assert str(finding.value).startswith("QQ")


def test_errors_of_all_files_are_told_at_once(exposure: dict[str, Path], tmp_path: Path) -> None:
    change(exposure[labels.LOCATION], cell(3, "OccupancyCode", "9"))
    change(exposure[labels.ACCOUNTS], cell(2, "PolPerilsCovered", "ZZZ"))
    exposure[labels.REINSURANCE_INFO].write_bytes(b"")

    report = check(exposure, tmp_path)

    assert {finding.file for finding in report.findings} == {
        "location_file",
        "accounts_file",
        "reinsurance_info_file",
    }
    checked = {file["file"]: file["checked"] for file in report.as_json()["files"]}
    assert [name for name, done in checked.items() if not done] == ["reinsurance_info_file"]


def test_of_very_many_bad_rows_the_first_and_last_are_listed_and_all_are_counted(
    exposure: dict[str, Path], tmp_path: Path
) -> None:
    def spoil(cells: list[list[str]]) -> None:
        place = cells[0].index("OccupancyCode")
        number = cells[0].index("LocNumber")
        row = cells[1]
        cells[1:] = [[*row] for _ in range(MOST_OF_ONE_KIND + 500)]
        for count, bad in enumerate(cells[1:], start=1):
            bad[place], bad[number] = "9", f"L{count}"

    change(exposure[labels.LOCATION], spoil)

    report = check(exposure, tmp_path)

    of_kind = [finding for finding in report.findings if finding.check == "occupancy_code"]
    assert len(of_kind) == MOST_OF_ONE_KIND
    assert report.as_json()["total"] == MOST_OF_ONE_KIND + 500
    assert "There are 500 more rows like these." in report.as_text()


def test_the_text_says_where_what_and_what_to_do(exposure: dict[str, Path], tmp_path: Path) -> None:
    change(exposure[labels.LOCATION], cell(3, "OccupancyCode", "9"))

    text = check(exposure, tmp_path).as_text()

    assert text == (
        "The location file, row 3, column OccupancyCode: '9': it is no occupancy code of OED: correct it.\n"
    )


def test_a_schema_that_nobody_knows_is_told(exposure: dict[str, Path], tmp_path: Path) -> None:
    change(exposure[labels.LOCATION], cell(2, "OEDVersion", "99.1.0"))

    report = check({labels.LOCATION: exposure[labels.LOCATION]}, tmp_path)

    [finding] = report.findings
    assert finding.check == "readable"
    assert "99.1.0" in finding.reason
