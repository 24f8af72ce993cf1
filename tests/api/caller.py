"""A client of the API: it speaks JSON to one version, in one user's name."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from rest_framework.test import APIClient

OK = HTTPStatus.OK
CREATED = HTTPStatus.CREATED
NO_CONTENT = HTTPStatus.NO_CONTENT
BAD_REQUEST = HTTPStatus.BAD_REQUEST
UNAUTHORIZED = HTTPStatus.UNAUTHORIZED
FORBIDDEN = HTTPStatus.FORBIDDEN
NOT_FOUND = HTTPStatus.NOT_FOUND
NOT_ALLOWED = HTTPStatus.METHOD_NOT_ALLOWED
UNAVAILABLE = HTTPStatus.SERVICE_UNAVAILABLE
UNSUPPORTED = HTTPStatus.UNSUPPORTED_MEDIA_TYPE


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the server said."""

    code: int
    content: bytes
    headers: Mapping[str, str]

    @property
    def body(self) -> Any:  # noqa: ANN401 - JSON
        """The JSON document of the answer."""
        assert self.headers["Content-Type"] == "application/json"
        return json.loads(self.content)


@dataclass(frozen=True)
class Caller:
    """Calls routes relative to ``{prefix}/{version}/``."""

    user: User | None
    version: str = ""
    prefix: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    def get(self, path: str, **query: str | list[str]) -> Answer:
        """GET."""
        return self._call("get", path, query)

    def post(self, path: str, body: Any = None) -> Answer:  # noqa: ANN401 - JSON
        """POST a JSON document, or nothing."""
        return self._call("post", path, body, format="json")

    def put(self, path: str, body: Any) -> Answer:  # noqa: ANN401 - JSON
        """PUT a JSON document."""
        return self._call("put", path, body, format="json")

    def patch(self, path: str, body: Any) -> Answer:  # noqa: ANN401 - JSON
        """PATCH with a JSON document."""
        return self._call("patch", path, body, format="json")

    def delete(self, path: str) -> Answer:
        """DELETE."""
        return self._call("delete", path)

    def send(self, method: str, path: str, text: str, *, content_type: str = "application/json") -> Answer:
        """Send a body as it stands."""
        return self._call(method, path, text, content_type=content_type)

    def upload(self, path: str, content: bytes, *, name: str, content_type: str, part: str = "file") -> Answer:
        """POST a file as a part of a form."""
        parts = {part: SimpleUploadedFile(name, content, content_type)}
        return self._call("post", path, parts, format="multipart")

    def _call(self, method: str, path: str, *arguments: Any, **options: Any) -> Answer:  # noqa: ANN401 - of the test client
        client = APIClient()
        if self.user is not None:
            client.force_authenticate(User.objects.get(pk=self.user.pk))  # anew, as each request does
        url = "/".join(["", *filter(None, [self.prefix, self.version]), path])
        response = getattr(client, method)(url, *arguments, headers=self.headers, **options)
        content = b"".join(response.streaming_content) if response.streaming else response.content
        return Answer(code=response.status_code, content=content, headers=response.headers)


def ids(answer: Answer) -> Iterable[int]:
    """Return the ids of a list."""
    return [row["id"] for row in answer.body]
