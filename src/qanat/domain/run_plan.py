"""Which sub-tasks a run consists of, in which order, and which files they hand on (wire contract, section 4.2).

A plan is a tuple of stages. The steps of a stage run in parallel; a stage begins when all of the one before are done.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from qanat.contract import labels, tasks
from qanat.contract.statuses import Phase, RunKind, RunMode

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
RESULTS: Final = {Phase.INPUTS: INPUT_RESULTS, Phase.LOSSES: LOSS_RESULTS}
"""The files of the analysis that each phase sets."""


FOR_ALL_CORES: Final = frozenset(
    {
        tasks.GENERATE_INPUT,
        tasks.RUN_ANALYSIS,
        tasks.PREPARE_KEYS_FILE_CHUNK,
        tasks.GENERATE_LOSSES_CHUNK,
        tasks.GENERATE_LOSSES_OUTPUT,
    }
)


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
    if kind in {RunKind.INPUTS, RunKind.BOTH}:
        stages += _whole_inputs() if mode is RunMode.V1 else _chunked_inputs(lookup_chunks)
    if kind in {RunKind.LOSSES, RunKind.BOTH}:
        stages += _whole_losses() if mode is RunMode.V1 else _chunked_losses(loss_chunks)
    return RunPlan(stages=tuple(stages))


def _step(  # noqa: PLR0913 - a row of the table below, not a procedure
    task: str,
    phase: Phase,
    *,
    reads: tuple[str, ...] = (),
    writes: tuple[str, ...] = (),
    server_side: bool = False,
    slug: str | None = None,
) -> PlannedStep:
    slug = slug or task.replace("_", "-")
    name = slug.replace("-", " ").capitalize()
    return PlannedStep(
        task=task, slug=slug, name=name, phase=phase, server_side=server_side, reads=reads, writes=writes
    )


def _chunks(  # noqa: PLR0913 - as above
    task: str, slug: str, phase: Phase, count: int, *, reads: tuple[str, ...], writes: tuple[str, ...]
) -> Stage:
    return tuple(
        PlannedStep(
            task=task,
            slug=f"{slug}-{index}",
            name=f"{slug.replace('-', ' ').capitalize()} {index}",
            phase=phase,
            index=index,
            count=count,
            reads=reads,
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
        (_step(tasks.RUN_ANALYSIS, phase, reads=reads, writes=LOSS_RESULTS),),
        (_step(tasks.RECORD_RUN_ANALYSIS, phase, reads=LOSS_RESULTS, server_side=True),),
    ]


def _chunked_inputs(chunks: int) -> list[Stage]:
    phase = Phase.INPUTS
    given = (*EXPOSURE, labels.SETTINGS, labels.COMPLEX_DATA_PREFIX)
    prepared = (*given, labels.PREPARED_EXPOSURE)
    return [
        (_step(tasks.PREPARE_INPUT_GENERATION_PARAMS, phase, reads=given),),
        (_step(tasks.PRE_ANALYSIS_HOOK, phase, reads=given, writes=(labels.PREPARED_EXPOSURE,)),),
        _chunks(
            tasks.PREPARE_KEYS_FILE_CHUNK,
            "prepare-keys-file",
            phase,
            chunks,
            reads=prepared,
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
                    labels.RUN_DIRECTORY,
                    *_all_chunks(labels.WORK_CHUNK, chunks),
                    *_all_chunks(labels.LOG_CHUNK, chunks),
                ),
                writes=LOSS_RESULTS,
            ),
        ),
        (_step(tasks.RECORD_LOSSES_FILES, phase, reads=LOSS_RESULTS, server_side=True),),
        (_step(tasks.CLEANUP_LOSSES_GENERATION, phase),),
    ]
