"""What the kernel says of its events is counted, and nothing that it says can hurt."""

import json
from http import HTTPStatus
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from qanat.worker import progress
from qanat.worker.run_dir import PROGRESS


def post(url: str, body: bytes) -> int:
    with urlopen(Request(url, data=body, method="POST"), timeout=10) as answer:  # noqa: S310 - our own
        return int(answer.status)


def known(folder: Path) -> dict[str, int]:
    found: dict[str, int] = json.loads((folder / PROGRESS).read_text())
    return found


@pytest.mark.parametrize(("index", "share"), [(0, 4), (1, 3), (2, 3)])
def test_a_chunk_has_its_share_of_the_events(tmp_path: Path, index: int, share: int) -> None:
    url = progress.listen(tmp_path, index=index, count=3)

    post(url, b'{"analysis_pk": 0, "events_total": "10"}')

    assert known(tmp_path) == {"events_done": 0, "events_total": share}


def test_what_is_done_adds_up_and_is_never_more_than_all(tmp_path: Path) -> None:
    url = progress.listen(tmp_path, index=0, count=1)
    post(url, b'{"events_total": "10"}')

    for done, expected in ((3, 3), (4, 7), (9, 10)):
        post(url, json.dumps({"events_complete": done}).encode())
        assert known(tmp_path)["events_done"] == expected


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"events_total": "many"}', b'{"events_complete": null}', b"\xff"])
def test_nonsense_is_answered_and_forgotten(tmp_path: Path, body: bytes) -> None:
    url = progress.listen(tmp_path, index=0, count=1)
    post(url, b'{"events_total": 10}')

    assert post(url, body) == HTTPStatus.NO_CONTENT
    assert known(tmp_path) == {"events_done": 0, "events_total": 10}


def test_who_does_not_know_the_name_is_not_believed(tmp_path: Path) -> None:
    url = progress.listen(tmp_path, index=0, count=1)

    assert post(url.rpartition("/")[0] + "/guess", b'{"events_total": 10}') == HTTPStatus.NO_CONTENT
    assert not (tmp_path / PROGRESS).exists()
