"""JSON documents that a resource keeps as a file, and options that it keeps as a row."""

import json
from typing import Any, ClassVar

from django.http import Http404
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer

from qanat.server.api.common.described import (
    ANY_OBJECT,
    CLEARED,
    NUMBER,
    RECEIPT,
    TEXT,
    Operation,
    nullable,
    record,
)
from qanat.server.api.common.files import empty, receipt
from qanat.server.api.common.parsers import JSONParser
from qanat.server.api.common.resources import ResourceView
from qanat.server.files.models import StoredFile
from qanat.server.files.owned import replace_file
from qanat.server.files.storage import storage


class DocumentView(ResourceView):
    """``{resource}/{id}/settings/`` and the like: the body is the document itself."""

    field: ClassVar[str]
    holds_files = True
    parser_classes = (JSONParser,)

    def operations(self) -> dict[str, Operation]:
        """Say what each method takes and gives."""
        return {
            "get": Operation(gives=ANY_OBJECT, refusals=(400,)),
            "post": Operation(takes=ANY_OBJECT, gives=RECEIPT),
            "delete": CLEARED,
        }

    def get(self, request: Request, pk: int) -> Response:
        """Return the document."""
        del request
        file = self._file(pk)
        try:
            with storage().open(file.key) as stream:
                return Response(json.load(stream))
        except (ValueError, RecursionError) as error:
            message = f"'{file.filename}', which was uploaded as it is, is not JSON ({error}): post it again."
            raise ValidationError({self.field: [message]}) from error

    def post(self, request: Request, pk: int) -> Response:
        """Check and store the document."""
        row = self.one(pk)
        return Response(receipt(self.store(row, request.data)))

    def delete(self, request: Request, pk: int) -> Response:
        """Delete the document."""
        del request
        self._file(pk)
        replace_file(self.one(pk), self.field, None)
        return empty()

    def store(self, row: Any, document: Any) -> StoredFile:  # noqa: ANN401 - a row of any resource; JSON
        """Check and store the document of a row."""
        raise NotImplementedError

    def _file(self, pk: int) -> StoredFile:
        file: StoredFile | None = getattr(self.one(pk), self.field)
        if file is None:
            raise Http404
        return file


class OptionsView(ResourceView):
    """``{resource}/{id}/{chunking,scaling}_configuration/``: options with defaults, changed in part."""

    field: ClassVar[str]
    form: ClassVar[type[Serializer[Any]]]
    defaults: ClassVar[dict[str, Any]]

    def operations(self) -> dict[str, Operation]:
        """Say what each method takes and gives."""
        shown = record(
            **{name: nullable(TEXT if isinstance(value, str) else NUMBER) for name, value in self.defaults.items()}
        )
        return {"get": Operation(gives=shown), "post": Operation(takes=self.form, gives=shown)}

    def get(self, request: Request, pk: int) -> Response:
        """Return the options; all null where a row has none of its own."""
        del request
        return Response(self._shown(getattr(self.one(pk), self.field)))

    def post(self, request: Request, pk: int) -> Response:
        """Change the options that the body names."""
        row = self.one(pk)
        before = getattr(row, self.field) or self.defaults
        form = self.form(data=request.data, context={**self.context(), "row": row, "before": before})
        form.is_valid(raise_exception=True)
        setattr(row, self.field, {**before, **form.validated_data})
        row.save(update_fields=[self.field, "modified"])
        return Response(self._shown(getattr(row, self.field)))

    def _shown(self, options: dict[str, Any] | None) -> dict[str, Any]:
        return {name: (options or {}).get(name) for name in self.defaults}
