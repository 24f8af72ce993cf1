"""Bodies on their way to disk, and what Django makes of the forms in them."""

import base64
import io
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from django.http.multipartparser import MultiPartParser

from qanat.server.api.common.uploads import FileOnDisk, UploadHandler
from qanat.server.roles.body import SMALL_BODY, Body

TYPE = "multipart/form-data; boundary=b"
CONTENT = bytes(range(256)) * (2 * SMALL_BODY // 256)
FILE = b'Content-Disposition: form-data; name="file"; filename="a.csv"\r\nContent-Type: text/csv\r\n'
FIELD = b'Content-Disposition: form-data; name="text"\r\n\r\nsaid'

Take = Callable[..., tuple[Any, Any]]


def form(*parts: bytes, before: bytes = b"") -> bytes:
    return before + b"".join(b"--b\r\n" + part + b"\r\n" for part in parts) + b"--b--\r\n"


@pytest.fixture
def folder(tmp_path: Path, settings: Any) -> Path:  # noqa: ANN401 - pytest-django's
    """Where bodies lie, and files of forms that are written once more."""
    settings.FILE_UPLOAD_TEMP_DIR = tmp_path
    return tmp_path


@pytest.fixture
def take(folder: Path) -> Iterator[Take]:
    """Take a body in blocks, and return the form's fields and files."""
    opened = ExitStack()

    def take(body: bytes, block: int = 2**17) -> tuple[Any, Any]:
        taken = opened.enter_context(Body(folder, TYPE))
        for start in range(0, len(body), block):
            taken.write(body[start : start + block])
        environ = {"CONTENT_TYPE": TYPE, "CONTENT_LENGTH": str(len(body)), **taken.as_input()}
        fields, files = MultiPartParser(environ, environ["wsgi.input"], [UploadHandler()]).parse()
        for name in files:
            opened.callback(files[name].close)  # type: ignore[union-attr]
        return fields, files

    with opened:
        yield take


@pytest.mark.parametrize("size", [0, 1, SMALL_BODY, SMALL_BODY + 1, 3 * SMALL_BODY])
@pytest.mark.parametrize("block", [1000, 2**17, 2**20])
def test_a_body_is_read_as_it_was_written(folder: Path, size: int, block: int) -> None:
    body = (form(FILE + b"\r\n" + CONTENT) * 4)[:size]

    with Body(folder, TYPE) as taken:
        for start in range(0, size, block):
            taken.write(body[start : start + block])
        read = taken.as_input()["wsgi.input"].read()

    assert read == body
    assert not list(folder.iterdir())


@pytest.mark.parametrize("block", [2**10, 2**17, 2**20])
def test_a_file_at_the_beginning_of_a_form_is_taken_as_it_lies_on_disk(take: Take, block: int) -> None:
    fields, files = take(form(FILE + b"\r\n" + CONTENT, FIELD), block)

    assert isinstance(files["file"], FileOnDisk)
    assert files["file"].size == len(CONTENT)
    assert b"".join(files["file"].chunks()) == CONTENT
    assert fields["text"] == "said"


@pytest.mark.parametrize(
    "body",
    [
        form(FIELD, FILE + b"\r\n" + CONTENT),
        form(FILE + b"\r\n" + CONTENT, before=b"a preamble\r\n\r\n"),
        form(FILE + b"Content-Transfer-Encoding: base64\r\n\r\n" + base64.b64encode(CONTENT)),
    ],
    ids=["a field before", "a preamble", "encoded"],
)
def test_another_file_is_written_to_one_of_its_own(take: Take, body: bytes) -> None:
    _, files = take(body)

    assert not isinstance(files["file"], FileOnDisk)
    assert b"".join(files["file"].chunks()) == CONTENT


def test_of_two_files_each_has_its_content(take: Take) -> None:
    other = CONTENT[::-1]
    _, files = take(form(FILE + b"\r\n" + CONTENT, FILE.replace(b'"file"', b'"other"') + b"\r\n" + other))

    assert b"".join(files["file"].chunks()) == CONTENT
    assert b"".join(files["other"].chunks()) == other


def test_an_empty_file_is_one(take: Take) -> None:
    _, files = take(form(FILE + b"\r\n", FILE.replace(b'"file"', b'"other"') + b"\r\n" + CONTENT))

    assert b"".join(files["file"].chunks()) == b""
    assert b"".join(files["other"].chunks()) == CONTENT


def test_a_small_form_stays_in_memory(take: Take, folder: Path) -> None:
    _, files = take(form(FILE + b"\r\nfew"))

    assert files["file"].read() == b"few"
    with Body(folder, TYPE) as body:
        body.write(b"few")
        assert isinstance(body.as_input()["wsgi.input"], io.BytesIO)
