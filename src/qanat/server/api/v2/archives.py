"""Looking into the archives of an analysis without downloading them."""

from dataclasses import replace
from pathlib import PurePath

from django.http import Http404
from django.http.response import HttpResponseBase
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from qanat.server.api.common.analyses import Analyses
from qanat.server.api.common.described import DOWNLOAD, TEXT, Operation, Parameter
from qanat.server.api.common.files import streamed
from qanat.server.files import archives
from qanat.server.files.models import StoredFile

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

    def archive(self, pk: int) -> StoredFile:
        """Return the archive.

        Raises:
            Http404: the analysis has none yet.
        """
        file: StoredFile | None = getattr(self.one(pk), self.field)
        if file is None:
            raise Http404
        return file


class TarList(ArchiveView):
    """``analyses/{id}/{input,output}_file_tar_list/``."""

    def operations(self) -> dict[str, Operation]:
        """Say what each method takes and gives."""
        return {"get": Operation(gives=TEXT, many=True)}

    def get(self, request: Request, pk: int) -> Response:
        """Return the paths of the files in the archive."""
        del request
        return Response(archives.members(self.archive(pk)))


class TarExtract(ArchiveView):
    """``analyses/{id}/{input,output}_file_tar_extract/?filename=``."""

    def operations(self) -> dict[str, Operation]:
        """Say what each method takes and gives."""
        member = Parameter(name="filename", schema=TEXT, about="The path of a file in the archive.", required=True)
        return {"get": replace(DOWNLOAD, query=(member,))}

    def get(self, request: Request, pk: int) -> HttpResponseBase:
        """Stream one file of the archive."""
        try:
            member, content = archives.open_member(self.archive(pk), request.query_params.get("filename", ""))
        except archives.MemberMissing:
            raise ValidationError(["Invalid filename."]) from None
        name = PurePath(member.name)
        response = streamed(content, filename=name.name, kind=MEMBER_TYPES.get(name.suffix, "text/html; charset=utf-8"))
        response["Content-Length"] = str(member.size)
        return response
