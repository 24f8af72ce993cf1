"""Keys come in the order of their locations."""

from pathlib import Path

from qanat.worker.kernel import keys_order

HEADER = "LocID,PerilID,CoverageTypeID,AreaPerilID,VulnerabilityID,ModelData"


def settled(folder: Path, *rows: str) -> str:
    keys = folder / "keys.csv"
    keys.write_text("\n".join([HEADER, *rows]) + "\n")
    keys_order.settle(keys)
    return keys.read_text()


def test_locations_are_ordered_as_numbers_and_their_own_keys_stay_as_they_were(tmp_path: Path) -> None:
    text = settled(tmp_path, "10,WTC,1,007,8,", "9,WTC,1,154,8,", "10,WSS,3,154,8,NA")

    assert text == f"{HEADER}\n9,WTC,1,154,8,\n10,WTC,1,007,8,\n10,WSS,3,154,8,NA\n"


def test_what_a_model_says_of_a_key_stays_whole(tmp_path: Path) -> None:
    said = '"{""storeys"": 2, ""name"": ""a,b""}"'

    text = settled(tmp_path, f"2,WTC,1,1,1,{said}", "1,WTC,1,1,1,")

    assert text == f"{HEADER}\n1,WTC,1,1,1,\n2,WTC,1,1,1,{said}\n"


def test_a_file_in_order_is_not_touched(tmp_path: Path) -> None:
    rows = ('1,"WTC",1,1,1,', "2,WTC,1,1,1,")

    assert settled(tmp_path, *rows) == "\n".join([HEADER, *rows]) + "\n"
