"""File endpoints: one declaration each.

``FileView`` is the endpoint; a resource lists its files as ``FileEndpoint`` records, and ``routes`` makes the URLs.
"""

import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, cast

from django.http import FileResponse, Http404
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
from qanat.server.api.common.resources import ResourceView
from qanat.server.files.models import StoredFile
from qanat.server.files.owned import replace_file
from qanat.server.files.storage import storage

OED_CONVERSIONS = {("text/csv", "parquet"), ("application/octet-stream", "csv")}


@dataclass(frozen=True, kw_only=True)
class FileEndpoint:
    """A file of a resource: the field that holds it and what may be done to it."""

    field: str
    name: str = ""
    """The route's name, where it is not the field's."""
    upload: Callable[..., StoredFile] | None = None
    """``upload(row, upload, actor)`` stores and attaches a file; None: read-only."""
    deletable: bool = False
    convertible: bool = False
    """Whether ``?file_format=`` turns csv into parquet and back."""
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
            "get": replace(DOWNLOAD, query=query if self.endpoint.convertible else ()),
            "post": Operation(takes=UPLOAD, takes_type=MULTIPART, gives=got),
            "delete": CLEARED,
        }

    def get(self, request: Request, pk: int) -> FileResponse:
        """Stream the file."""
        file = self._file(self.one(pk))
        wanted = request.query_params.get("file_format")
        if self.endpoint.convertible and wanted and (file.content_type, wanted) in OED_CONVERSIONS:
            return _converted(file, wanted)
        return download(file)

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
    names = ("version", "model", "groups_through", "rows")
    return {name: getattr(views, name) for name in names}


def download(file: StoredFile) -> FileResponse:
    """Return a file as a download: its stored type without a charset, under its own name."""
    response = FileResponse(storage().open(file.key), content_type=file.content_type)
    response["Content-Disposition"] = content_disposition_header(as_attachment=True, filename=file.filename or file.key)
    del response["Content-Length"]
    return response


def text_download(key: str, *, filename: str) -> FileResponse:
    """Return a log as a download."""
    response = FileResponse(storage().open(key), content_type="text/plain")
    response["Content-Disposition"] = content_disposition_header(as_attachment=True, filename=filename)
    return response


def empty() -> Response:
    """Return 200 with neither body nor type, as clients expect after deleting a file."""
    response = Response(status=status.HTTP_200_OK)
    response.headers.pop("Content-Type", None)
    return response


def receipt(file: StoredFile, *, conversion_fields: bool = False) -> dict[str, Any]:
    """Return what an upload is answered with (wire contract, section 1.3)."""
    answer: dict[str, Any] = {
        "created": file.created.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "file": file.key,
        "filename": file.filename,
        "groups": [group.name for group in file.groups.all()],
        "conversion_state": "NONE",
    }
    return answer | ({"converted_file": None, "mapping_file": None} if conversion_fields else {})


def _converted(file: StoredFile, wanted: str) -> FileResponse:
    """Return an OED file in the other format; its columns are typed by their content."""
    from pyarrow import ArrowInvalid, csv, parquet  # noqa: PLC0415 - heavy, and needed for conversions only

    target = io.BytesIO()
    try:
        with storage().open(file.key) as stream:
            if wanted == "parquet":
                parquet.write_table(csv.read_csv(stream), target)
            else:
                csv.write_csv(parquet.read_table(stream), target)
    except ArrowInvalid as error:
        message = f"'{file.filename}' cannot be read, so it cannot be had as {wanted}: {error}"
        raise ValidationError({"file_format": [message]}) from error
    target.seek(0)
    content_type = "application/octet-stream" if wanted == "parquet" else "text/csv"
    response = FileResponse(target, content_type=content_type)
    name = f"{Path(file.filename).name}.{wanted}"
    response["Content-Disposition"] = content_disposition_header(as_attachment=True, filename=name)
    return response
