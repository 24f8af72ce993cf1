"""Which HTTP answer a refusal of the features becomes: the one table of it."""

from collections.abc import Callable
from typing import Any

from django.db import OperationalError as DatabaseUnavailable
from kombu.exceptions import OperationalError as BrokerUnavailable
from rest_framework import status
from rest_framework.response import Response
from rest_framework.views import exception_handler

from qanat.server.accounts.access import GroupsRefused, WriteRefused
from qanat.server.accounts.provider import ProviderUnavailable
from qanat.server.accounts.throttle import TooManyAttempts
from qanat.server.analyses.combining import CombineRefused
from qanat.server.analyses.requests import NotPossible
from qanat.server.files.archives import ArchiveUnreadable
from qanat.server.files.conversion import ConversionsBusy, NotConvertible
from qanat.server.files.operations import UploadRefused
from qanat.server.files.settings_documents import SettingsRefused
from qanat.server.portfolios.operations import LinksRefused, OedUnreadable
from qanat.server.portfolios.requests import ExposureLacking, TransformUnderWay
from qanat.storage.port import ObjectMissing, StorageFull, StorageUnavailable

Answer = tuple[int, Callable[[Any], Any]]


def _detail(error: Exception) -> dict[str, str]:
    return {"detail": str(error)}


ANSWERS: dict[type[Exception], Answer] = {
    NotPossible: (status.HTTP_400_BAD_REQUEST, lambda error: error.errors),
    SettingsRefused: (status.HTTP_400_BAD_REQUEST, lambda error: error.errors),
    ExposureLacking: (status.HTTP_400_BAD_REQUEST, lambda error: [str(error)]),
    TransformUnderWay: (status.HTTP_400_BAD_REQUEST, lambda error: [str(error)]),
    CombineRefused: (status.HTTP_400_BAD_REQUEST, lambda error: error.errors),
    UploadRefused: (status.HTTP_400_BAD_REQUEST, lambda error: {"file": [str(error)]}),
    ArchiveUnreadable: (status.HTTP_400_BAD_REQUEST, lambda error: [str(error)]),
    OedUnreadable: (
        status.HTTP_400_BAD_REQUEST,
        lambda error: {
            "error": "The file cannot be stored as parquet.",
            "detail": str(error),
            "exception": type(error.__cause__).__name__,
        },
    ),
    NotConvertible: (status.HTTP_400_BAD_REQUEST, lambda error: {"file_format": [str(error)]}),
    ConversionsBusy: (status.HTTP_503_SERVICE_UNAVAILABLE, _detail),
    LinksRefused: (status.HTTP_400_BAD_REQUEST, lambda error: error.errors),
    GroupsRefused: (status.HTTP_400_BAD_REQUEST, lambda error: {"groups": [str(error)]}),
    WriteRefused: (status.HTTP_403_FORBIDDEN, _detail),
    TooManyAttempts: (status.HTTP_429_TOO_MANY_REQUESTS, _detail),
    ProviderUnavailable: (status.HTTP_503_SERVICE_UNAVAILABLE, _detail),
    ObjectMissing: (status.HTTP_404_NOT_FOUND, _detail),
    StorageFull: (status.HTTP_507_INSUFFICIENT_STORAGE, _detail),
    StorageUnavailable: (status.HTTP_503_SERVICE_UNAVAILABLE, _detail),
    # Forms refuse such a text on its field; what is no form's field meets it when it is stored or compared.
    UnicodeEncodeError: (
        status.HTTP_400_BAD_REQUEST,
        lambda _: {"detail": "A text has half of a surrogate pair (\\ud800 to \\udfff): send whole characters."},
    ),
    DatabaseUnavailable: (
        status.HTTP_503_SERVICE_UNAVAILABLE,
        lambda _: {"detail": "The database does not answer or is busy: try again in a moment; nothing was changed."},
    ),
    BrokerUnavailable: (status.HTTP_503_SERVICE_UNAVAILABLE, _detail),
}


def handle(error: Exception, context: dict[str, Any]) -> Response | None:
    """Answer an exception: ours from the table, others as the framework does."""
    for kind, (code, body) in ANSWERS.items():
        if isinstance(error, kind):
            headers = {"Retry-After": str(error.retry_after)} if isinstance(error, TooManyAttempts) else None
            return Response(body(error), status=code, headers=headers)
    return exception_handler(error, context)
