"""The queues that workers serve (wire contract, sections 1.8 and 6.1)."""

from typing import TYPE_CHECKING, cast

from rest_framework.request import Request
from rest_framework.response import Response

from qanat.contract.statuses import SubTaskStatus
from qanat.server.api.common.described import NUMBER, TEXT, TIME, Json, Operation, array, nullable, record
from qanat.server.api.common.links import links
from qanat.server.api.common.models import Models
from qanat.server.api.common.policy import USERS, Endpoint
from qanat.server.api.common.related import beside
from qanat.server.api.v2 import forms
from qanat.server.queues import queries
from qanat.server.risk_models.models import RiskModel

if TYPE_CHECKING:
    from django.contrib.auth.models import User

QUEUE = record(
    name=TEXT,
    pending_count=NUMBER,
    queued_count=NUMBER,
    running_count=NUMBER,
    queue_message_count=NUMBER,
    worker_count=NUMBER,
    models=array({"type": "object", "additionalProperties": True}),
)
ANALYSIS = record(
    id=NUMBER,
    name=TEXT,
    portfolio=NUMBER,
    model=nullable(NUMBER),
    status=TEXT,
    priority=NUMBER,
    analysis_chunks=nullable(NUMBER),
    lookup_chunks=nullable(NUMBER),
    sub_task_count=NUMBER,
    queue_names=array(TEXT),
    status_count=record(TOTAL_IN_QUEUE=NUMBER, TOTAL=NUMBER, **{status.value: NUMBER for status in SubTaskStatus}),
)


def show_models(models: list[RiskModel]) -> dict[int, Json]:
    """Return models by id as items of V2's list, with relative links."""
    context = {"links": links(None, "v2"), **beside(Models.related, models)}
    return {model.pk: forms.Model.show(model, context) for model in models}


class Queues(Endpoint):
    """``queue/``."""

    policy = USERS

    def operations(self) -> dict[str, Operation]:
        """Say what each method takes and gives."""
        return {"get": Operation(gives=QUEUE, many=True)}

    def get(self, request: Request) -> Response:
        """Return the queues."""
        return Response(queries.shown(queries.queues(cast("User", request.user)), show_models))


class QueueStatus(Endpoint):
    """``queue-status/``: what the websocket sends."""

    policy = USERS

    def operations(self) -> dict[str, Operation]:
        """Say what each method takes and gives."""
        entry = record(queue=QUEUE, analyses=array(record(analysis=ANALYSIS, updated_tasks=array(TEXT))))
        return {"get": Operation(gives=record(time=TIME, type=TEXT, status=TEXT, content=array(entry)))}

    def get(self, request: Request) -> Response:
        """Return queues, and the analyses that are under way on them."""
        return Response(queries.queue_status(cast("User", request.user), show_models=show_models))
