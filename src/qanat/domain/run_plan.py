"""Which sub-tasks a run consists of, in which order, and which files they hand on (wire contract, section 4.2).

A plan is a tuple of stages. The steps of a stage run in parallel; a stage begins when all of the one before are done.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from qanat.contract import labels, tasks
from qanat.contract.statuses import OwnerKind, Phase, RunKind, RunMode

EXPOSURE: Final = (
    labels.LOCATION,
    labels.ACCOUNTS,
    labels.REINSURANCE_INFO,
    labels.REINSURANCE_SCOPE,
    labels.CURRENCY,
)
INPUT_RESULTS: Final = (
    labels.INPUT,
    labels.LOOKUP_ERRORS,
    labels.LOOKUP_SUCCESS,
    labels.LOOKUP_VALIDATION,
    labels.SUMMARY_LEVELS,
    labels.SETTINGS,
    labels.INPUT_TRACEBACK,
)
LOSS_RESULTS: Final = (labels.OUTPUT, labels.RUN_LOG, labels.RUN_TRACEBACK)
RESULTS: Final = {
    Phase.INPUTS: INPUT_RESULTS,
    # Losses add the occurrences of the events to the inputs.
    Phase.LOSSES: (*LOSS_RESULTS, labels.INPUT),
    Phase.VALIDATION: (labels.VALIDATION_REPORT, labels.ERRORS),
    Phase.EXPOSURE: (labels.EXPOSURE_RUN,),
    Phase.TRANSFORM: (labels.TRANSFORMED,),
}
"""The files of the analysis or portfolio that each phase sets."""
TRACEBACK: Final = {
    Phase.INPUTS: labels.INPUT_TRACEBACK,
    Phase.LOSSES: labels.RUN_TRACEBACK,
    Phase.VALIDATION: labels.ERRORS,
    Phase.EXPOSURE: labels.ERRORS,
    Phase.TRANSFORM: labels.ERRORS,
}
"""Which of them says what went wrong."""
PHASES: Final[dict[RunKind, tuple[Phase, ...]]] = {
    RunKind.INPUTS: (Phase.INPUTS,),
    RunKind.LOSSES: (Phase.LOSSES,),
    RunKind.BOTH: (Phase.INPUTS, Phase.LOSSES),
    # The losses of others, as this analysis' own.
    RunKind.COMBINE: (Phase.LOSSES,),
    RunKind.VALIDATION: (Phase.VALIDATION,),
    RunKind.EXPOSURE: (Phase.EXPOSURE,),
    RunKind.TRANSFORM: (Phase.TRANSFORM,),
}
"""What each kind of run goes through, in order."""
ONE_OF_EACH_KIND: Final = frozenset({OwnerKind.PORTFOLIO})
"""Whose runs of different kinds go side by side; of any other owner there is one run at a time."""


FOR_ALL_CORES: Final = frozenset(
    {
        tasks.GENERATE_INPUT,
        tasks.RUN_ANALYSIS,
        tasks.PREPARE_KEYS_FILE_CHUNK,
        tasks.GENERATE_LOSSES_CHUNK,
        tasks.GENERATE_LOSSES_OUTPUT,
    }
)

GO_THROUGH_EVENTS: Final = frozenset({tasks.RUN_ANALYSIS, tasks.GENERATE_LOSSES_CHUNK})
"""Tasks in which the kernel goes through the events, each chunk through its share."""


def is_for_all_cores(*, task: str, count: int) -> bool:
    """Say whether a step shares its work among all cores of a host; one of several chunks is for one core."""
    return task in FOR_ALL_CORES and count == 1


@dataclass(frozen=True, kw_only=True)
class PlannedStep:
    """A sub-task: what it is called, where it runs, what it reads and writes."""

    task: str
    slug: str
    name: str
    phase: Phase
    server_side: bool = False
    """True: the worker monitor does it; False: a worker of the model does."""
    index: int = 0
    count: int = 1
    reads: tuple[str, ...] = ()
    """Labels of files: of the analysis, or written by earlier steps. Absent ones are left out."""
    writes: tuple[str, ...] = ()


Stage = tuple[PlannedStep, ...]


@dataclass(frozen=True, kw_only=True)
class RunPlan:
    """All sub-tasks of a run."""

    stages: tuple[Stage, ...]

    def steps(self) -> Iterator[PlannedStep]:
        """Yield the steps in the order in which clients see them."""
        for stage in self.stages:
            yield from stage


def plan(*, kind: RunKind, mode: RunMode, lookup_chunks: int, loss_chunks: int) -> RunPlan:
    """Return the plan of a run; the chunk counts matter in V2 only."""
    stages: list[Stage] = []
    if kind in INTERNAL:
        return RunPlan(stages=_internal(INTERNAL[kind], PHASES[kind][0]))
    if kind in {RunKind.INPUTS, RunKind.BOTH}:
        stages += _whole_inputs() if mode is RunMode.V1 else _chunked_inputs(lookup_chunks)
    if kind in {RunKind.LOSSES, RunKind.BOTH}:
        stages += _whole_losses() if mode is RunMode.V1 else _chunked_losses(loss_chunks)
    return RunPlan(stages=tuple(stages))


@dataclass(frozen=True, kw_only=True)
class InternalTask:
    """What the internal worker does for a kind of run, and the monitor's sub-task after it."""

    task: str
    record: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]


INTERNAL: Final = {
    RunKind.VALIDATION: InternalTask(
        task=tasks.VALIDATE_EXPOSURE,
        record=tasks.RECORD_VALIDATION,
        reads=EXPOSURE,
        writes=RESULTS[Phase.VALIDATION],
    ),
    RunKind.EXPOSURE: InternalTask(
        task=tasks.RUN_EXPOSURE, record=tasks.RECORD_EXPOSURE_RUN, reads=EXPOSURE, writes=RESULTS[Phase.EXPOSURE]
    ),
    RunKind.TRANSFORM: InternalTask(
        task=tasks.TRANSFORM_EXPOSURE,
        record=tasks.RECORD_TRANSFORM,
        reads=(labels.TRANSFORM_SOURCE, labels.TRANSFORM_MAPPING),
        writes=RESULTS[Phase.TRANSFORM],
    ),
    RunKind.COMBINE: InternalTask(
        task=tasks.COMBINE, record=tasks.RECORD_COMBINE, reads=(labels.COMBINED_PREFIX,), writes=(labels.OUTPUT,)
    ),
}
"""The kinds of run that need no model."""


def _internal(task: InternalTask, phase: Phase) -> tuple[Stage, ...]:
    return (
        (_step(task.task, phase, reads=task.reads, writes=task.writes),),
        (_step(task.record, phase, reads=task.writes, server_side=True),),
    )


def _slug(task: str) -> str:
    return task.removeprefix("qanat.").replace("_", "-")


def _step(  # noqa: PLR0913 - a row of the table below, not a procedure
    task: str,
    phase: Phase,
    *,
    reads: tuple[str, ...] = (),
    writes: tuple[str, ...] = (),
    server_side: bool = False,
    slug: str | None = None,
) -> PlannedStep:
    slug = slug or _slug(task)
    name = slug.replace("-", " ").capitalize()
    return PlannedStep(
        task=task, slug=slug, name=name, phase=phase, server_side=server_side, reads=reads, writes=writes
    )


def _chunks(  # noqa: PLR0913 - as above
    task: str,
    slug: str,
    phase: Phase,
    count: int,
    *,
    reads: tuple[str, ...],
    writes: tuple[str, ...],
    own: tuple[str, ...] = (),
) -> Stage:
    """Return chunks that read and write files of their own (``own``, ``writes``) and others that all read."""
    return tuple(
        PlannedStep(
            task=task,
            slug=f"{slug}-{index}",
            name=f"{slug.replace('-', ' ').capitalize()} {index}",
            phase=phase,
            index=index,
            count=count,
            reads=(*reads, *(labels.chunk(label, index) for label in own)),
            writes=tuple(labels.chunk(label, index) for label in writes),
        )
        for index in range(count)
    )


def _all_chunks(label: str, count: int) -> tuple[str, ...]:
    return tuple(labels.chunk(label, index) for index in range(count))


def _whole_inputs() -> list[Stage]:
    phase = Phase.INPUTS
    reads = (*EXPOSURE, labels.SETTINGS, labels.COMPLEX_DATA_PREFIX)
    return [
        (_step(tasks.GENERATE_INPUT, phase, reads=reads, writes=INPUT_RESULTS),),
        (_step(tasks.RECORD_GENERATE_INPUT, phase, reads=INPUT_RESULTS, server_side=True),),
    ]


def _whole_losses() -> list[Stage]:
    phase = Phase.LOSSES
    reads = (labels.INPUT, labels.SETTINGS, labels.COMPLEX_DATA_PREFIX)
    return [
        (_step(tasks.RUN_ANALYSIS, phase, reads=reads, writes=RESULTS[phase]),),
        (_step(tasks.RECORD_RUN_ANALYSIS, phase, reads=RESULTS[phase], server_side=True),),
    ]


def _chunked_inputs(chunks: int) -> list[Stage]:
    phase = Phase.INPUTS
    given = (*EXPOSURE, labels.SETTINGS, labels.COMPLEX_DATA_PREFIX)
    prepared = (*given, labels.PREPARED_EXPOSURE)
    # The exposure is read once for all chunks, whose share of it is all that they get.
    cut = chunks > 1
    slices = _all_chunks(labels.EXPOSURE_SLICE, chunks) if cut else ()
    return [
        (_step(tasks.PREPARE_INPUT_GENERATION_PARAMS, phase, reads=given),),
        (_step(tasks.PRE_ANALYSIS_HOOK, phase, reads=given, writes=(labels.PREPARED_EXPOSURE, *slices)),),
        _chunks(
            tasks.PREPARE_KEYS_FILE_CHUNK,
            "prepare-keys-file",
            phase,
            chunks,
            reads=(labels.SETTINGS, labels.COMPLEX_DATA_PREFIX) if cut else prepared,
            own=(labels.EXPOSURE_SLICE,) if cut else (),
            writes=(labels.KEYS_CHUNK,),
        ),
        (_step(tasks.COLLECT_KEYS, phase, reads=_all_chunks(labels.KEYS_CHUNK, chunks), writes=(labels.KEYS,)),),
        (_step(tasks.WRITE_INPUT_FILES, phase, reads=(*prepared, labels.KEYS), writes=INPUT_RESULTS),),
        (_step(tasks.RECORD_INPUT_FILES, phase, reads=INPUT_RESULTS, server_side=True),),
        (_step(tasks.CLEANUP_INPUT_GENERATION, phase),),
    ]


def _chunked_losses(chunks: int) -> list[Stage]:
    phase = Phase.LOSSES
    given = (labels.INPUT, labels.SETTINGS, labels.COMPLEX_DATA_PREFIX)
    return [
        (_step(tasks.PREPARE_LOSSES_GENERATION_PARAMS, phase, reads=given),),
        (_step(tasks.PREPARE_LOSSES_GENERATION_DIRECTORY, phase, reads=given, writes=(labels.RUN_DIRECTORY,)),),
        _chunks(
            tasks.GENERATE_LOSSES_CHUNK,
            "generate-losses-chunk",
            phase,
            chunks,
            reads=(labels.RUN_DIRECTORY,),
            writes=(labels.WORK_CHUNK, labels.LOG_CHUNK),
        ),
        (
            _step(
                tasks.GENERATE_LOSSES_OUTPUT,
                phase,
                reads=(
                    labels.INPUT,
                    labels.RUN_DIRECTORY,
                    *_all_chunks(labels.WORK_CHUNK, chunks),
                    *_all_chunks(labels.LOG_CHUNK, chunks),
                ),
                writes=RESULTS[phase],
            ),
        ),
        (_step(tasks.RECORD_LOSSES_FILES, phase, reads=RESULTS[phase], server_side=True),),
        (_step(tasks.CLEANUP_LOSSES_GENERATION, phase),),
    ]
