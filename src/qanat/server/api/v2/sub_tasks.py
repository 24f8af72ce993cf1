"""The sub-tasks of a run, and their logs."""

from dataclasses import replace
from typing import Any, Final

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
from qanat.server.api.common import lists
from qanat.server.api.common.analyses import Analyses
from qanat.server.api.common.described import CLEARED, DOWNLOAD, TEXT, Operation, Parameter
from qanat.server.api.common.files import empty, text_download
from qanat.server.api.common.filters import filtered, parameters, text
from qanat.server.api.common.links import links
from qanat.server.api.common.policy import STAFF, Endpoint
from qanat.server.api.v2 import forms
from qanat.server.files.storage import storage
from qanat.server.runs import queries
from qanat.server.runs.models import Step

STATUS: Final = {**TEXT, "enum": [status.value for status in SubTaskStatus]}


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

    def operations(self) -> dict[str, Operation]:
        """Say what each method takes and gives."""
        query = (
            Parameter(name="subtask_status", schema=STATUS),
            Parameter(name="subtask_slug", schema=TEXT, about="Part of the slug."),
        )
        return {"get": Operation(gives=forms.SubTask, many=True, query=query)}

    def get(self, request: Request, pk: int) -> Response:
        """Return the sub-tasks of the latest run in execution order."""
        steps = queries.sub_tasks(self.one(pk).pk)
        slug = request.query_params.get("subtask_slug", "")
        if "\0" in slug:
            raise ValidationError({"subtask_slug": ["Null characters are not allowed."]})
        if slug:
            steps = steps.filter(slug__contains=slug.lower())
        if status := request.query_params.get("subtask_status"):
            steps = steps.filter(state__in=states_shown_as(status))
        context = self.context()
        return Response([forms.SubTask.show(step, context) for step in steps])


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

    searched = ("name", "slug", "queue")
    ordered_by = ("id", "name", "slug")

    def operations(self) -> dict[str, Operation]:
        """Say what each method takes and gives."""
        query = (*parameters(StepFilters), *lists.parameters(self.ordered_by))
        return {"get": Operation(gives=forms.SubTask, many=True, query=query)}

    def get(self, request: Request) -> Response:
        """Return all sub-tasks that the filters leave; a page of them where ``limit`` is given."""
        found = filtered(StepFilters, request.query_params, rows=self.rows())
        asked = lists.asked(request.query_params, ordered_by=self.ordered_by)
        page = lists.page(found, asked=asked, searched=self.searched)
        context = {"links": links(request, "v2")}
        shown = [forms.SubTask.show(step, context) for step in page.rows]
        return Response(shown, headers=lists.headers(page, request=request))


class SubTask(StaffView):
    """``analysis-task-statuses/{id}/``."""

    def operations(self) -> dict[str, Operation]:
        """Say what each method takes and gives: all fields are read-only, so a body is taken and changes nothing."""
        shown = Operation(gives=forms.SubTask)
        return {"get": shown, "put": shown, "patch": shown}

    def get(self, request: Request, pk: int) -> Response:
        """Return the sub-task; every field is read-only."""
        return Response(forms.SubTask.show(get_object_or_404(self.rows(), pk=pk), {"links": links(request, "v2")}))

    put = get
    patch = get


class SubTaskLog(StaffView):
    """``analysis-task-statuses/{id}/{output,error,retry}_log/``."""

    log: str = "output_log"

    def operations(self) -> dict[str, Operation]:
        """Say what each method takes and gives."""
        return {"get": replace(DOWNLOAD, gives_type="text/plain"), "delete": CLEARED}

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
