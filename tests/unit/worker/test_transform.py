"""An OED file is made from another format; what ods-tools only logs becomes a sentence."""

from pathlib import Path

import pytest

from qanat.worker.kernel.port import ExposureRefused
from qanat.worker.kernel.transform import transform_exposure

MAPPING = """
null_values: [""]
types:
  ID: {type: string}
  Value: {type: float, nullable: false}
transform:
  LocNumber: [{transformation: ID}]
  BuildingTIV: [{transformation: Value * 2}]
"""
SOURCE = "ID,Value\nx1,100\nxé2,250\n"
# ods-tools leaves its source open where it gives up.
pytestmark = [
    pytest.mark.usefixtures("leaks_of_others"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def transform(folder: Path, *, mapping: str = MAPPING, source: str = SOURCE) -> str:
    (folder / "mapping.yaml").write_text(mapping)
    (folder / "source.csv").write_text(source)
    rows = transform_exposure(
        source=folder / "source.csv", mapping=folder / "mapping.yaml", result=folder / "result.csv"
    )
    text = (folder / "result.csv").read_text()
    assert len(text.split()) == rows + 1
    return text


def test_a_table_is_made(tmp_path: Path) -> None:
    assert transform(tmp_path) == "LocNumber,BuildingTIV\nx1,200.0\nxé2,500.0\n"


@pytest.mark.parametrize(
    ("mapping", "source", "says"),
    [
        ("a: [", SOURCE, "not YAML"),
        ("just text", SOURCE, "no section 'transform'"),
        ("transform: {}\ntypes: {}\n", SOURCE, "no section 'null_values' that is a list"),
        (MAPPING.replace("Value * 2", "Value * * 2"), SOURCE, "Unexpected character in 'Value * * 2'"),
        (MAPPING, "ID,Value\nx1,plenty\n", "Cannot coerce Value (plenty) to float"),
        (MAPPING, "ID,Value\n", "makes no rows"),
    ],
    ids=["no YAML", "text", "no null values", "a formula that is none", "a word for a number", "no rows"],
)
def test_what_does_not_fit_is_refused_with_a_sentence(tmp_path: Path, mapping: str, source: str, says: str) -> None:
    with pytest.raises(ExposureRefused) as refused:
        transform(tmp_path, mapping=mapping, source=source)

    assert says in str(refused.value)
    assert "site-packages" not in str(refused.value)
