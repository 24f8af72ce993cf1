"""The sub-tasks of a run, and their logs."""

from typing import Any

import django_filters
from django.db import transaction
from django.db.models import QuerySet
from django.http import Http404
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from qanat.contract.statuses import SubTaskStatus
from qanat.domain.step_state import SHOWN_AS
from qanat.server.api.common.analyses import Analyses
from qanat.server.api.common.files import empty, text_download
from qanat.server.api.common.filters import text
from qanat.server.api.common.policy import STAFF, Endpoint
from qanat.server.api.v2 import forms
from qanat.server.files.storage import storage
from qanat.server.runs import queries
from qanat.server.runs.models import Step


def states_shown_as(status: str) -> list[str]:
    """Return the engine's states that clients see as ``status``.

    Raises:
        ValidationError: there is no such status.
    """
    if status not in set(SubTaskStatus):
        message = f"Select a valid choice. {status} is not one of the available choices."
        raise ValidationError({"status": [message]})
    return [state for state, shown in SHOWN_AS.items() if shown == status]


class SubTaskList(Analyses):
    """``analyses/{id}/sub_task_list/``."""

    version = "v2"

    def get(self, request: Request, pk: int) -> Response:
        """Return the sub-tasks of the latest run in execution order."""
        steps = queries.sub_tasks(self.one(pk).pk)
        if slug := request.query_params.get("subtask_slug"):
            steps = steps.filter(slug__contains=slug.lower())
        if status := request.query_params.get("subtask_status"):
            steps = steps.filter(state__in=states_shown_as(status))
        return Response(forms.SubTask(steps, many=True, context=self.context()).data)


class StaffView(Endpoint):
    """For staff: the sub-tasks of everybody."""

    policy = STAFF

    def rows(self) -> QuerySet[Step]:
        """Return all sub-tasks that clients see."""
        return Step.objects.filter(run__mode="V2").select_related("run").order_by("pk")


class StepFilters(django_filters.FilterSet):
    """Filters of the list of all sub-tasks."""

    status = django_filters.CharFilter(method="by_status")
    status__in = django_filters.CharFilter(method="by_status")

    class Meta:
        """Over the engine's steps."""

        model = Step
        fields: tuple[str, ...] = ()

    def by_status(self, rows: QuerySet[Step], name: str, value: str) -> QuerySet[Step]:
        """Keep those shown with one of the statuses."""
        del name
        return rows.filter(state__in=[state for status in value.split(",") for state in states_shown_as(status)])


for _wire, _column in {"name": "name", "slug": "slug", "task_id": "celery_id", "queue_name": "queue"}.items():
    for _suffix, _filter in text(_column).items():
        StepFilters.base_filters[_suffix.replace(_column, _wire, 1)] = _filter


class SubTasks(StaffView):
    """``analysis-task-statuses/``."""

    def get(self, request: Request) -> Response:
        """Return all sub-tasks that the filters leave."""
        rows = StepFilters(request.query_params, queryset=self.rows()).qs
        return Response(forms.SubTask(rows, many=True, context={"request": request}).data)


class SubTask(StaffView):
    """``analysis-task-statuses/{id}/``."""

    def get(self, request: Request, pk: int) -> Response:
        """Return the sub-task; every field is read-only."""
        return Response(forms.SubTask(get_object_or_404(self.rows(), pk=pk), context={"request": request}).data)

    put = get
    patch = get


class SubTaskLog(StaffView):
    """``analysis-task-statuses/{id}/{output,error,retry}_log/``."""

    log: str = "output_log"

    def get(self, request: Request, pk: int) -> HttpResponseBase:
        """Return the log."""
        del request
        step = self._step(pk)
        return text_download(getattr(step, self.log), filename=f"{step.celery_id}-{self.log.removesuffix('_log')}.log")

    def delete(self, request: Request, pk: int) -> Response:
        """Delete the log."""
        del request
        step = self._step(pk)
        key: str = getattr(step, self.log)
        with transaction.atomic():
            Step.objects.filter(pk=pk).update(**{self.log: ""})
            transaction.on_commit(lambda: storage().delete(key), robust=True)
        return empty()

    def _step(self, pk: int) -> Any:  # noqa: ANN401 - a step
        step = get_object_or_404(self.rows(), pk=pk)
        if not getattr(step, self.log):
            raise Http404
        return step
