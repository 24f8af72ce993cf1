"""Looking into the archives of an analysis without downloading them."""

import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import PurePath

from django.http import Http404, HttpResponse
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from qanat.server.api.common.analyses import Analyses
from qanat.server.api.common.described import DOWNLOAD, TEXT, Operation, Parameter
from qanat.server.files.storage import storage

MEMBER_TYPES = {
    ".parquet": "application/octet-stream",
    ".pq": "application/octet-stream",
    ".csv": "text/csv",
    ".json": "application/json",
}


class ArchiveView(Analyses):
    """An archive of an analysis."""

    version = "v2"
    field: str = "output_file"

    @contextmanager
    def archive(self, pk: int) -> Iterator[tarfile.TarFile]:
        """Open the archive.

        Raises:
            Http404: the analysis has none yet.
        """
        file = getattr(self.one(pk), self.field)
        if file is None:
            raise Http404
        with storage().open(file.key) as stream, tarfile.open(fileobj=stream, mode="r:gz") as archive:
            yield archive


class TarList(ArchiveView):
    """``analyses/{id}/{input,output}_file_tar_list/``."""

    def operations(self) -> dict[str, Operation]:
        """Say what each method takes and gives."""
        return {"get": Operation(gives=TEXT, many=True)}

    def get(self, request: Request, pk: int) -> Response:
        """Return the paths of the files in the archive."""
        del request
        with self.archive(pk) as archive:
            return Response([member.name for member in archive if member.isfile()])


class TarExtract(ArchiveView):
    """``analyses/{id}/{input,output}_file_tar_extract/?filename=``."""

    def operations(self) -> dict[str, Operation]:
        """Say what each method takes and gives."""
        member = Parameter(name="filename", schema=TEXT, about="The path of a file in the archive.", required=True)
        return {"get": replace(DOWNLOAD, query=(member,))}

    def get(self, request: Request, pk: int) -> HttpResponse:
        """Return one file of the archive."""
        wanted = request.query_params.get("filename", "")
        with self.archive(pk) as archive:
            member = next((m for m in archive if m.name == wanted and m.isfile()), None)
            stream = archive.extractfile(member) if member else None
            if stream is None:
                raise ValidationError(["Invalid filename."])
            content_type = MEMBER_TYPES.get(PurePath(wanted).suffix, "text/html; charset=utf-8")
            response = HttpResponse(stream.read(), content_type=content_type)
        response["Content-Disposition"] = f'attachment; filename="{PurePath(wanted).name}"'
        return response
