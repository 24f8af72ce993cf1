"""The JSON that Qanat's own model workers and the API server exchange under ``/workers/``.

A worker rings nobody else: it takes a doorbell from its Celery queue, claims the step here, reads the step's inputs
and writes the attempt's outputs here with the token of the claim, and commits or fails it here (``orchestration.md``,
section 4).

All paths are relative to the API's base (``/api/`` or ``/``):

=======  =============================================  =============================  ================================
method   path                                           body -> answer                 refused with
=======  =============================================  =============================  ================================
POST     workers/hello/                                 Hello -> HelloAnswer           403 wrong worker key
POST     workers/steps/{id}/claim/                      Claim -> StepSpec              409 Refusal (stale or duplicate)
POST     workers/steps/{id}/heartbeat/                  Heartbeat -> HeartbeatAnswer   403 token, never 409
GET      workers/steps/{id}/inputs/{label}/             -> the bytes                   403 token, 404, 409 lease lost
PUT      workers/steps/{id}/outputs/{label}/?filename=  the bytes -> OutputFile        403 token, 409 lease lost, 507
POST     workers/steps/{id}/log/?offset=                text bytes -> {"size": n}      403 token, 409 lease lost
POST     workers/steps/{id}/commit/                     Commit -> {}                   409 Refusal: discard everything
POST     workers/steps/{id}/fail/                       Failure -> {"retry": bool}     409 Refusal
POST     workers/steps/{id}/release/                    {} -> {}                       409 Refusal
=======  =============================================  =============================  ================================

``hello`` and ``claim`` carry the workers' shared key as ``Authorization: Worker <key>``; everything after a claim
carries the step token as ``Authorization: Step <token>``. 5xx and connection errors are tried again by the worker
until its lease has run out.

Most files of most steps are small, and a request costs more than a small file does: what is no larger than
``along.SMALL_BYTES`` comes with the answer to the claim and goes with the commit or failure, in base64, as does the
end of the log. Only larger ones are requests of their own.
"""

from typing import Any, Final, Literal, NotRequired, TypedDict

WORKER_KEY_SCHEME: Final = "Worker"
STEP_TOKEN_SCHEME: Final = "Step"  # noqa: S105 - the scheme's name, not a token

OURS: Final = "qanat"
"""Among the versions that our own workers register with; whoever leaves it out is a stock worker."""

HeartbeatVerdict = Literal["continue", "cancel", "drain", "lost"]


class Hello(TypedDict):
    """A worker's sign of life, sent when it starts and every few seconds after."""

    worker: str
    """Unique for the life of the process: host, pid and a random part."""
    queues: list[str]
    slots: int
    draining: bool
    versions: dict[str, str]


class HelloAnswer(TypedDict):
    """How often the worker shall say hello, in seconds."""

    every_seconds: float


class Claim(TypedDict):
    """The wish to run a step with the fence that the doorbell named."""

    fence: int
    worker: str


class InputFile(TypedDict):
    """One file that the step reads."""

    label: str
    filename: str
    """The user's or the producing step's name for it: a label for people, its suffix tells the format."""
    content_type: str
    size: NotRequired[int]
    content: NotRequired[str]
    """Of a small file, in base64; what has none is to be fetched."""


class StepSpec(TypedDict):
    """All that a worker needs to know to run a step."""

    step_id: int
    run_id: int
    analysis_id: int | None
    task: str
    """A task name of ``contract.tasks``."""
    slug: str
    index: int
    """Number of the chunk from 0; 0 where the step is not a chunk."""
    count: int
    """Number of chunks of this kind; 1 where the step is not a chunk."""
    loss_chunks: int
    """Number of loss chunks of the run; 1 in V1."""
    attempt: int
    fence: int
    token: str
    lease_seconds: float
    parameters: dict[str, Any]
    """``reporting_currency`` (str) where set; ``kernel_processes`` (int) where a retry must use fewer."""
    inputs: list[InputFile]
    outputs: list[str]
    """Labels that the step is expected to write; one that does not apply is simply not written."""


class Resources(TypedDict):
    """What the attempt has used so far, and of losses how far they are."""

    peak_memory_bytes: int
    cpu_seconds: float
    run_seconds: NotRequired[float]
    """How long the step itself ran: without being claimed, and without its files coming and going."""
    disk_bytes: NotRequired[int]
    events_done: NotRequired[int]
    events_total: NotRequired[int]
    """Of this step; a chunk has its share of the events."""


class Heartbeat(TypedDict):
    """Extends the lease."""

    fence: int
    resources: Resources | None
    events_done: NotRequired[int]
    events_total: NotRequired[int]
    """As in the resources, where they should be; workers of before may say it here."""


class HeartbeatAnswer(TypedDict):
    """What the worker shall do: go on, stop and clean up, finish what it runs and take no more, or drop the step."""

    verdict: HeartbeatVerdict


class OutputFile(TypedDict):
    """An output as stored for this attempt; handed back at commit."""

    label: str
    key: str
    filename: str
    content_type: str
    size: int


class SmallOutput(TypedDict):
    """An output that goes along."""

    label: str
    filename: str
    content: str
    """In base64."""


class LogPiece(TypedDict):
    """The end of the attempt's log."""

    offset: int
    """Where it begins, in bytes."""
    content: str
    """In base64."""


class LastWord(TypedDict):
    """What both ends of an attempt have in common."""

    fence: int
    outputs: list[OutputFile]
    """Those stored before; of a failed attempt whatever could be saved: partial input archive, keys errors, logs."""
    small_outputs: NotRequired[list[SmallOutput]]
    log: NotRequired[LogPiece]
    resources: Resources | None


class Commit(LastWord):
    """The step succeeded."""

    result: dict[str, Any]
    """Facts for later steps and for the analysis, such as ``{"keys": 10, "keys_errors": 0}``."""


class Failure(LastWord):
    """The attempt failed."""

    failure_class: str
    """A value of ``contract.statuses.FailureClass``."""
    message: str
    """One sentence for the user."""
    traceback: str
    exit_code: int | None
    signal: int | None
    no_keys: NotRequired[bool]
    """True where no location found a key: the analysis ends in INPUTS_GENERATION_NO_KEYS. Of a step of the losses it
    means nothing: they end in RUN_ERROR."""


class Refusal(TypedDict):
    """Why a claim, commit or failure changed nothing."""

    detail: str
