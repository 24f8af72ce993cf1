"""Uploads that are on disk already: the API server's bridge has put the body there (``roles/body.py``).

Django reads through the form as ever, and says where its file begins and ends; but where that is the file on disk, it
is not written a second time.
"""

import os
from typing import IO, TYPE_CHECKING, Any, BinaryIO, Final, cast

from django.core.files.uploadedfile import TemporaryUploadedFile, UploadedFile
from django.core.files.uploadhandler import FileUploadHandler

# The stubs' class takes a parameter, Django's own none.
if TYPE_CHECKING:
    Uploaded = UploadedFile[bytes]
else:
    Uploaded = UploadedFile

BODY_FILE: Final = "qanat.body_file"
"""In the environment of a request: the file that holds its body, or what comes after the heading of a form's file."""


def body_on_disk(request: Any) -> BinaryIO | None:  # noqa: ANN401 - Django's or REST framework's
    """Return the file that is all of a request's body; None where that is a form, or in memory."""
    if request.content_type.startswith("multipart/"):
        return None
    return cast("BinaryIO | None", request.META.get(BODY_FILE))


class FileOnDisk(Uploaded):
    """An uploaded file that is the beginning of the file that holds the body."""

    def on_disk(self) -> BinaryIO:
        """Return that file; whoever takes it may cut off what comes after the first ``size`` bytes."""
        return cast("BinaryIO", self.file)

    def chunks(self, chunk_size: int | None = None) -> Any:  # noqa: ANN401 - an iterator, as Django has it
        """Yield the content."""
        step = chunk_size or self.DEFAULT_CHUNK_SIZE
        descriptor, size = self.on_disk().fileno(), cast("int", self.size)
        for start in range(0, size, step):
            yield os.pread(descriptor, min(step, size - start), start)


class UploadHandler(FileUploadHandler):
    """Keeps what is on disk where it is, and writes other files to one of their own."""

    chunk_size = 2**20
    _body: IO[bytes] | None = None
    _own: TemporaryUploadedFile | None = None

    def handle_raw_input(self, input_data: Any, META: dict[str, Any], *args: Any, **kwargs: Any) -> None:  # noqa: ANN401, N803 - as Django calls it
        """Note where the body lies."""
        del input_data, args, kwargs
        self._body = META.get(BODY_FILE)

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        """Take the next piece of a file; the first one says whether it is what lies on disk."""
        if start == 0:
            self._own = None if self._lies_on_disk(raw_data, 0) else self._new()
        elif self._own is None and not self._lies_on_disk(raw_data, start):
            message = "The form's file is not what lies on disk."
            raise RuntimeError(message)
        if self._own is not None:
            self._own.write(raw_data)

    def file_complete(self, file_size: int) -> Uploaded:
        """Return the file."""
        if file_size and self._own is None:
            body, self._body = self._body, None  # of several files it is the first
            return FileOnDisk(
                file=body, name=self.file_name, content_type=self.content_type, size=file_size, charset=self.charset
            )
        own = self._own or self._new()
        self._own = None
        own.seek(0)
        own.size = file_size
        return own

    def upload_interrupted(self) -> None:
        """Remove what was written."""
        if self._own is not None:
            self._own.close()

    def _lies_on_disk(self, piece: bytes, start: int) -> bool:
        return self._body is not None and os.pread(self._body.fileno(), len(piece), start) == piece

    def _new(self) -> TemporaryUploadedFile:
        return TemporaryUploadedFile(str(self.file_name), self.content_type, 0, self.charset, self.content_type_extra)
