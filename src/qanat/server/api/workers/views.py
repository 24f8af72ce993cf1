"""The workers' endpoints: translate in, one call of the engine, translate out."""

import contextlib
import mimetypes
import os
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from functools import partial
from pathlib import PurePath
from typing import IO, Any, cast

from django.conf import settings
from django.http import Http404, StreamingHttpResponse
from rest_framework import status
from rest_framework.exceptions import APIException
from rest_framework.parsers import BaseParser, JSONParser
from rest_framework.request import Request
from rest_framework.response import Response

from qanat.contract import along
from qanat.contract.statuses import FailureClass, StepState
from qanat.contract.worker_protocol import HelloAnswer, InputFile, StepSpec
from qanat.server.api.common.policy import Endpoint
from qanat.server.api.common.uploads import body_on_disk
from qanat.server.api.workers.serializers import (
    ClaimFields,
    CommitFields,
    FailureFields,
    HeartbeatFields,
    HelloFields,
    checked,
    file_refs,
)
from qanat.server.api.workers.tokens import STEP_TOKEN, WORKER_KEY, step_token
from qanat.server.files.storage import storage
from qanat.server.runs import claims, clock
from qanat.server.runs.claims import Claimed, StepRefused
from qanat.server.runs.commit import commit
from qanat.server.runs.failure import AttemptFailed, fail
from qanat.server.runs.models import Step
from qanat.server.runs.projection import FileRef
from qanat.server.runs.steps import inputs_of, outputs_so_far
from qanat.storage.port import ObjectMissing

HELLO_EVERY_SECONDS = 15.0
COPY_BYTES = 2**20
CONTENT_TYPES = {
    ".gz": "application/gzip",
    ".csv": "text/csv",
    ".json": "application/json",
    ".txt": "text/plain",
    ".parquet": "application/octet-stream",
}


class Refused(APIException):
    """The fence is stale: the worker discards what it made."""

    status_code = status.HTTP_409_CONFLICT


class AnyBytes(BaseParser):
    """Leaves the body as a stream, whatever its type."""

    media_type = "*/*"

    def parse(self, stream: IO[bytes], media_type: str | None = None, parser_context: object = None) -> Any:  # noqa: ANN401
        """Return the stream unread."""
        del media_type, parser_context
        return stream


class WorkerView(Endpoint):
    """An endpoint whose caller proves itself by worker key or step token, not as a user."""

    parser_classes: Sequence[type[BaseParser]] = (JSONParser,)

    def handle_exception(self, exc: Exception) -> Response:
        """Answer 409 where the engine refuses."""
        return super().handle_exception(Refused(str(exc)) if isinstance(exc, StepRefused) else exc)


class StepView(WorkerView):
    """An endpoint of a claimed step."""

    policy = STEP_TOKEN
    fence: int
    """Of the claim, from the token."""


def lease() -> timedelta:
    """Return how long a claim or heartbeat holds a step."""
    return timedelta(seconds=settings.QANAT.lease_seconds)


class Hello(WorkerView):
    """``workers/hello/``."""

    policy = WORKER_KEY

    def post(self, request: Request) -> Response:
        """Note that the worker lives."""
        claims.hello(**checked(HelloFields, request.data), now=clock.now())
        return Response(HelloAnswer(every_seconds=HELLO_EVERY_SECONDS))


class Claim(WorkerView):
    """``workers/steps/{id}/claim/``."""

    policy = WORKER_KEY

    def post(self, request: Request, step_id: int) -> Response:
        """Give the step to the worker."""
        wish = checked(ClaimFields, request.data)
        claimed = claims.claim(
            step_id=step_id, fence=wish["fence"], worker=wish["worker"], lease=lease(), now=clock.now()
        )
        return Response(_spec(claimed))


class Heartbeat(StepView):
    """``workers/steps/{id}/heartbeat/``."""

    def post(self, request: Request, step_id: int) -> Response:
        """Extend the lease and say what to do."""
        beat = checked(HeartbeatFields, request.data)
        events = {name: beat[name] for name in ("events_done", "events_total") if name in beat}
        verdict = claims.heartbeat(
            step_id=step_id,
            fence=self.fence,
            lease=lease(),
            now=clock.now(),
            resources=(beat.get("resources") or {}) | events,
        )
        return Response({"verdict": verdict})


class Input(StepView):
    """``workers/steps/{id}/inputs/{label}/``."""

    def get(self, request: Request, step_id: int, label: str) -> StreamingHttpResponse:
        """Stream one of the files that the step reads."""
        del request
        step = claims.held(step_id=step_id, fence=self.fence)
        inputs = inputs_of(step, produced=outputs_so_far(step.run, before_position=step.position))
        if label not in inputs:
            message = f"The step does not read '{label}'."
            raise Http404(message)
        ref = inputs[label]
        try:
            content = storage().read(ref.key)
        except ObjectMissing as error:
            raise _given_up(step, f"'{ref.filename}' was replaced or deleted after this was asked for") from error
        response = StreamingHttpResponse(content, content_type="application/octet-stream")
        response["Content-Length"] = str(ref.size)  # So that the worker knows half a file from a whole one.
        return response


class Output(StepView):
    """``workers/steps/{id}/outputs/{label}/``."""

    parser_classes = (AnyBytes,)

    def put(self, request: Request, step_id: int, label: str) -> Response:
        """Store an output of this attempt; it means nothing until the step is committed."""
        step = claims.held(step_id=step_id, fence=self.fence)
        filename = request.query_params.get("filename", label)
        body = body_on_disk(request)

        def store(key: str) -> int:
            if body is None:
                return storage().write(key, _blocks(cast("IO[bytes]", request.data)))
            return storage().take(key, body, size=os.fstat(body.fileno()).st_size)

        kept = _keep(store, filename=filename, step=step)
        return Response({"label": label, **kept.as_json()})


class Log(StepView):
    """``workers/steps/{id}/log/``."""

    parser_classes = (AnyBytes,)

    def post(self, request: Request, step_id: int) -> Response:
        """Keep a piece of the attempt's log."""
        try:
            offset = int(request.query_params.get("offset", "0"))
        except ValueError:
            return Response({"offset": ["A whole number is required."]}, status=status.HTTP_400_BAD_REQUEST)
        text = b"".join(_blocks(cast("IO[bytes]", request.data)))
        step = claims.held(step_id=step_id, fence=self.fence)
        return Response({"size": claims.append_log(step, offset=offset, text=text)})


class Commit(StepView):
    """``workers/steps/{id}/commit/``."""

    def post(self, request: Request, step_id: int) -> Response:
        """Make the outputs facts."""
        body = checked(CommitFields, request.data)
        step = claims.load(step_id, fence=self.fence)
        commit(
            step=step,
            outputs=_outputs(step, body),
            facts=body["result"],
            resources=body.get("resources"),
            now=clock.now(),
        )
        return Response({})


class Fail(StepView):
    """``workers/steps/{id}/fail/``."""

    def post(self, request: Request, step_id: int) -> Response:
        """Record the failure and say whether the step is tried again."""
        body = checked(FailureFields, request.data)
        attempt = AttemptFailed(
            failure_class=FailureClass(body["failure_class"]),
            message=body["message"],
            traceback=body["traceback"],
            exit_code=body["exit_code"],
            signal=body["signal"],
            no_keys=body["no_keys"],
            outputs=_outputs(claims.load(step_id, fence=self.fence), body),
            resources=body.get("resources") or {},
        )
        return Response({"retry": fail(step_id=step_id, fence=self.fence, attempt=attempt, now=clock.now())})


class Release(StepView):
    """``workers/steps/{id}/release/``."""

    def post(self, request: Request, step_id: int) -> Response:
        """Take the step back from a draining worker."""
        del request
        claims.hand_back(step_id=step_id, fence=self.fence, now=clock.now())
        return Response({})


def _given_up(step: Step, why: str) -> Refused:
    """Fail a step that nobody can do, and return what its worker hears of it: to try again would find the same."""
    message = f"{why}: ask again."
    attempt = AttemptFailed(failure_class=FailureClass.INPUT, message=message)
    fail(step_id=step.pk, fence=step.fence, attempt=attempt, now=clock.now())
    return Refused(message)


def _outputs(step: Step, last_word: Mapping[str, Any]) -> dict[str, FileRef]:
    """Return the outputs of an attempt that has ended, and keep those and the piece of its log that come only now."""
    stored = file_refs(last_word["outputs"], prefix=claims.attempt_prefix(step))
    # A last word may come twice; the second time the step is no longer held, and the engine says so or says nothing.
    if step.state != StepState.RUNNING:
        return stored
    if (log := last_word.get("log")) is not None:
        claims.append_log(step, offset=log["offset"], text=log["content"])
    small = {
        output["label"]: _keep(
            partial(storage().write, chunks=[output["content"]]), filename=output["filename"], step=step
        )
        for output in last_word["small_outputs"]
    }
    return stored | small


def _keep(store: Callable[[str], int], *, filename: str, step: Step) -> FileRef:
    """Have ``store`` store an output of a step's present attempt under a fresh key; it returns the size."""
    name = PurePath(PurePath(filename).name)
    key = f"{claims.attempt_prefix(step)}/{uuid.uuid4().hex}{''.join(name.suffixes[-2:])}"
    size = store(key)
    content_type = CONTENT_TYPES.get(name.suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
    return FileRef(key=key, filename=str(name), content_type=content_type, size=size)


def _spec(claimed: Claimed) -> StepSpec:
    step = claimed.step
    parameters: dict[str, Any] = dict(step.run.parameters)
    if step.fewer_processes:
        parameters["kernel_processes"] = 1
    return StepSpec(
        step_id=step.pk,
        run_id=step.run_id,
        analysis_id=step.run.analysis_id,
        task=step.task,
        slug=step.slug,
        index=step.index,
        count=step.count,
        loss_chunks=step.run.plan.get("loss_chunks") or 1,
        attempt=step.attempt,
        fence=step.fence,
        token=step_token(step_id=step.pk, fence=step.fence),
        lease_seconds=lease().total_seconds(),
        parameters=parameters,
        inputs=list(_inputs(claimed.inputs)),
        outputs=list(step.writes),
    )


def _inputs(inputs: Mapping[str, FileRef]) -> Iterator[InputFile]:
    room = along.Room()
    for label, ref in inputs.items():
        file = InputFile(label=label, filename=ref.filename, content_type=ref.content_type, size=ref.size)
        if room.takes(ref.size):
            with contextlib.suppress(ObjectMissing):  # Whoever fetches it hears what that means.
                file["content"] = along.packed(b"".join(storage().read(ref.key)))
        yield file


def _blocks(stream: IO[bytes]) -> Iterator[bytes]:
    while block := stream.read(COPY_BYTES):
        yield block
