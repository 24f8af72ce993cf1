"""Small files come and go with claim and last word, large ones in requests of their own; the log goes whole, once."""

import base64
from pathlib import Path

import pytest

from qanat.contract import labels
from qanat.contract.along import MOST_ALONG_BYTES, SMALL_BYTES
from qanat.contract.worker_protocol import Claim, LogPiece, StepSpec
from qanat.worker.run_dir import RunDir
from qanat.worker.transfer import Transfer
from tests.unit.worker.twin import Twin


@pytest.fixture
def run_dir(tmp_path: Path) -> RunDir:
    """The directory of an attempt."""
    return RunDir.create(tmp_path, name="run")


def spec_of(server: Twin) -> StepSpec:
    return server.claim(1, Claim(fence=1, worker="w"))


def files(folder: Path, **sizes: int) -> dict[str, str]:
    for label, size in sizes.items():
        (folder / f"{label}.csv").write_bytes(bytes(size))
    return {label: str(folder / f"{label}.csv") for label in sizes}


def test_an_input_that_came_with_the_claim_is_not_fetched(run_dir: RunDir) -> None:
    server = Twin(inputs={labels.LOCATION: ("a.csv", "text/csv", b"fetched"), labels.KEYS: ("k", "text/csv", b"k")})
    spec = spec_of(server)
    spec["inputs"][0]["content"] = base64.b64encode(b"PortNumber\n1\n").decode()

    inputs = Transfer(server, spec, run_dir).fetch()

    assert inputs[labels.LOCATION].name == "location.csv"
    assert {label: path.read_bytes() for label, path in inputs.items()} == {
        labels.LOCATION: b"PortNumber\n1\n",
        labels.KEYS: b"k",
    }


def test_small_outputs_go_along_and_large_ones_are_stored(run_dir: RunDir, tmp_path: Path) -> None:
    server = Twin()
    outputs = files(tmp_path, empty=0, small=SMALL_BYTES, large=SMALL_BYTES + 1)

    brought = Transfer(server, spec_of(server), run_dir).bring(outputs)

    assert [output["label"] for output in brought["outputs"]] == ["large"]
    assert {output["label"]: len(base64.b64decode(output["content"])) for output in brought["small_outputs"]} == {
        "empty": 0,
        "small": SMALL_BYTES,
    }


def test_many_small_outputs_do_not_make_one_large_message(run_dir: RunDir, tmp_path: Path) -> None:
    server = Twin()
    number = MOST_ALONG_BYTES // SMALL_BYTES
    outputs = files(tmp_path, **{f"output{index}": SMALL_BYTES for index in range(number + 3)})

    brought = Transfer(server, spec_of(server), run_dir).bring(outputs)

    assert (len(brought["small_outputs"]), len(brought["outputs"])) == (number, 3)


@pytest.mark.parametrize("size", [0, 1, SMALL_BYTES, SMALL_BYTES + 1, 2 * 2**20 + 7])
def test_the_log_goes_whole_and_once(run_dir: RunDir, size: int) -> None:
    server = Twin()
    spec = spec_of(server)
    transfer = Transfer(server, spec, run_dir)
    log = bytes(number % 251 for number in range(size))
    run_dir.log.write_bytes(log[: size // 3])
    transfer.send_log()
    run_dir.log.write_bytes(log)

    transfer.send_rest_of_log(but_bytes=SMALL_BYTES)
    brought = transfer.bring({})

    along = brought.get("log") or LogPiece(offset=len(server.logs), content="")
    assert along["offset"] == len(server.logs)
    assert len(along["content"]) <= SMALL_BYTES * 4 // 3 + 4
    assert server.logs + base64.b64decode(along["content"]) == log


def test_a_step_that_is_handed_back_leaves_nothing_of_its_log(run_dir: RunDir) -> None:
    server = Twin()
    transfer = Transfer(server, spec_of(server), run_dir)
    run_dir.log.write_bytes(b"short")

    transfer.send_rest_of_log()

    assert server.logs == b"short"
