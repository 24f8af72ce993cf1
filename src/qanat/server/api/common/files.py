"""File endpoints: one declaration each.

``FileView`` is the endpoint; a resource lists its files as ``FileEndpoint`` records, and ``routes`` makes the URLs.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Final, cast

from django.http import Http404, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.urls import URLPattern, path
from django.utils.http import content_disposition_header
from rest_framework import status
from rest_framework.exceptions import PermissionDenied, ValidationError
from rest_framework.parsers import FormParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from qanat.server.accounts.access import may_read_system_logs
from qanat.server.api.common.described import (
    CLEARED,
    CONVERSION_RECEIPT,
    DOWNLOAD,
    MULTIPART,
    RECEIPT,
    TEXT,
    UPLOAD,
    Operation,
    Parameter,
)
from qanat.server.api.common.parsers import JSONParser
from qanat.server.api.common.resources import SAFE, ResourceView
from qanat.server.files.conversion import OTHER, TYPES, converted
from qanat.server.files.models import StoredFile
from qanat.server.files.owned import replace_file
from qanat.server.files.storage import storage
from qanat.server.runs import clock
from qanat.storage.pieces import pieces

RANGE: Final = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")
"""One range of bytes, at offsets that files have; several at once are answered with all of the file, as HTTP allows."""


@dataclass(frozen=True, kw_only=True)
class FileEndpoint:
    """A file of a resource: the field that holds it and what may be done to it."""

    field: str
    name: str = ""
    """The route's name, where it is not the field's."""
    upload: Callable[..., StoredFile] | None = None
    """``upload(row, upload, actor)`` stores and attaches a file; None: read-only."""
    deletable: bool = False
    converted_by: str = ""
    """The reader (``oed_conversion.READERS``) by which ``?file_format=`` turns csv into parquet and back."""
    system_log: bool = False
    """V1 may keep it for staff (``restrict_system_logs``)."""
    conversion_fields: bool = False
    """Whether the upload's receipt has the fields of converted files (always null)."""


class FileView(ResourceView):
    """``{resource}/{id}/{file}/``: download, upload, delete."""

    endpoint: ClassVar[FileEndpoint]
    holds_files = True
    parser_classes = (MultiPartParser, FormParser, JSONParser)

    def operations(self) -> dict[str, Operation]:
        """Say what each method takes and gives."""
        formats = {**TEXT, "enum": ["csv", "parquet"]}
        query = (Parameter(name="file_format", schema=formats, about="The format to have an OED file in."),)
        got = RECEIPT if not self.endpoint.conversion_fields else CONVERSION_RECEIPT
        return {
            "get": replace(DOWNLOAD, query=query if self.endpoint.converted_by else ()),
            "post": Operation(takes=UPLOAD, takes_type=MULTIPART, gives=got),
            "delete": CLEARED,
        }

    def get(self, request: Request, pk: int) -> HttpResponseBase:
        """Stream the file."""
        file = self._file(self.one(pk))
        wanted = request.query_params.get("file_format")
        if self.endpoint.converted_by and wanted in OTHER and file.content_type == TYPES[OTHER[wanted]]:
            return _converted(file, wanted, reader=self.endpoint.converted_by)
        return download(file, request)

    def post(self, request: Request, pk: int) -> Response:
        """Store the part ``file`` in place of the file before."""
        row = self.one(pk)
        part = request.FILES.get("file")
        if part is None:
            raise ValidationError({"file": ["No file was submitted."]})
        upload = cast("Callable[..., StoredFile]", self.endpoint.upload)  # without it, the view takes no POST
        file = upload(row, part, self.actor())
        return Response(receipt(file, conversion_fields=self.endpoint.conversion_fields))

    def delete(self, request: Request, pk: int) -> Response:
        """Delete the file."""
        del request
        row = self.one(pk)
        self._file(row)
        replace_file(row, self.endpoint.field, None)
        return empty()

    def _file(self, row: Any) -> StoredFile:  # noqa: ANN401 - a row of any resource
        self._permit_system_log()
        file: StoredFile | None = getattr(row, self.endpoint.field)
        if file is None:
            raise Http404
        return file

    def _permit_system_log(self) -> None:
        if self.endpoint.system_log and not may_read_system_logs(actor=self.actor(), version=self.version):
            raise PermissionDenied


def routes(prefix: str, views: type[ResourceView], endpoints: Iterable[FileEndpoint]) -> list[URLPattern]:
    """Return the routes of a resource's files; ``views`` says which resource, in which version."""
    return [
        path(f"{prefix}/<int:pk>/{endpoint.name or endpoint.field}/", _view(views, endpoint).as_view())
        for endpoint in endpoints
    ]


def _view(views: type[ResourceView], endpoint: FileEndpoint) -> type[FileView]:
    methods = ["get", *(["post"] if endpoint.upload else []), *(["delete"] if endpoint.deletable else [])]
    bound = {"endpoint": endpoint, "http_method_names": [*methods, "head", "options"]}
    return type("FileView", (FileView,), {**_binding(views), **bound})


def _binding(views: type[ResourceView]) -> dict[str, Any]:
    names = ("version", "model", "groups_through", "all_rows", "rows")
    return {name: getattr(views, name) for name in names}


def download(file: StoredFile, request: Request | None = None) -> HttpResponseBase:
    """Return a file as a download: its stored type without a charset, under its own name.

    Where the request asks for a range of its bytes, or has the file already, it gets only what it needs: files never
    change, so the key serves as their entity tag.
    """
    asked = request.headers if request is not None and request.method in SAFE else {}
    tag = f'"{file.key}"'
    known = {given.strip().removeprefix("W/") for given in asked.get("If-None-Match", "").split(",")}
    if known & {tag, "*"}:
        return HttpResponse(status=status.HTTP_304_NOT_MODIFIED, headers={"ETag": tag})
    wanted = asked.get("Range", "") if asked.get("If-Range", tag) == tag else ""
    try:
        part = _range(wanted, size=file.size)
    except _Unsatisfiable:
        return HttpResponse(
            status=status.HTTP_416_REQUESTED_RANGE_NOT_SATISFIABLE, headers={"Content-Range": f"bytes */{file.size}"}
        )
    if part is None:
        response = streamed(storage().read(file.key), filename=file.filename or file.key, kind=file.content_type)
    else:
        start, end = part
        response = streamed(
            storage().read(file.key, start=start, length=end - start),
            filename=file.filename or file.key,
            kind=file.content_type,
        )
        response.status_code = status.HTTP_206_PARTIAL_CONTENT
        response["Content-Range"] = f"bytes {start}-{end - 1}/{file.size}"
        response["Content-Length"] = str(end - start)
    response["Accept-Ranges"] = "bytes"
    response["ETag"] = tag
    return response


def text_download(key: str, *, filename: str) -> HttpResponseBase:
    """Return a log as a download."""
    return streamed(storage().read(key), filename=filename, kind="text/plain")


def streamed(content: Iterable[bytes], *, filename: str, kind: str) -> StreamingHttpResponse:
    """Return content as a download of a type, under a name."""
    response = StreamingHttpResponse(content, content_type=kind)
    response["Content-Disposition"] = content_disposition_header(as_attachment=True, filename=filename) or "attachment"
    return response


class _Unsatisfiable(Exception):
    """The range lies beyond the file."""


def _range(wanted: str, *, size: int) -> tuple[int, int] | None:
    """Return where a range begins and ends, or None where all of the file is to be sent (RFC 9110, section 14)."""
    match = RANGE.fullmatch(wanted.replace(" ", ""))
    first, last = match.groups() if match else ("", "")
    if not first and not last:
        return None
    if not first:
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(size, int(last) + 1) if last else size
        if last and int(last) < start:
            return None
    if start >= size or start >= end:
        raise _Unsatisfiable
    return start, end


def empty() -> Response:
    """Return 200 with neither body nor type, as clients expect after deleting a file."""
    response = Response(status=status.HTTP_200_OK)
    response.headers.pop("Content-Type", None)
    return response


def receipt(file: StoredFile, *, conversion_fields: bool = False) -> dict[str, Any]:
    """Return what an upload is answered with (wire contract, section 1.3)."""
    answer: dict[str, Any] = {
        "created": clock.shown(file.created),
        "file": file.key,
        "filename": file.filename,
        "groups": [group.name for group in file.groups.all()],
        "conversion_state": "NONE",
    }
    return answer | ({"converted_file": None, "mapping_file": None} if conversion_fields else {})


def _converted(file: StoredFile, wanted: str, *, reader: str) -> HttpResponseBase:
    """Return an OED file in the other format; its columns are typed by the OED schema."""
    content = pieces(converted(file, to=wanted, reader=reader))
    return streamed(content, filename=f"{Path(file.filename).name}.{wanted}", kind=TYPES[wanted])
