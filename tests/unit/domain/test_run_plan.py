"""A run consists of the sub-tasks of the wire contract (section 4.2), in its order, and each finds what it reads."""

from collections.abc import Iterable
from itertools import pairwise, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qanat.contract import labels, tasks
from qanat.contract.statuses import Phase, RunKind, RunMode
from qanat.domain.run_plan import PHASES, RESULTS, PlannedStep, RunPlan, is_for_all_cores, plan
from qanat.server.runs import canvas

CHUNKS = st.integers(1, 60)
OF_A_MODEL = (RunKind.INPUTS, RunKind.LOSSES, RunKind.BOTH)
KINDS = st.sampled_from(RunKind)
USERS_OWN = {
    labels.LOCATION,
    labels.ACCOUNTS,
    labels.REINSURANCE_INFO,
    labels.REINSURANCE_SCOPE,
    labels.CURRENCY,
    labels.SETTINGS,
    labels.COMPLEX_DATA_PREFIX,
    labels.COMBINED_PREFIX,
    labels.TRANSFORM_SOURCE,
    labels.TRANSFORM_MAPPING,
}


def plan_of(kind: RunKind, *, mode: RunMode = RunMode.V2, lookup: int = 1, loss: int = 1) -> RunPlan:
    return plan(kind=kind, mode=mode, lookup_chunks=lookup, loss_chunks=loss)


def rows(steps: Iterable[PlannedStep]) -> list[tuple[str, str, str, str]]:
    """Return the columns of the contract's table: task, slug, display name, where it runs."""
    return [(step.task, step.slug, step.name, "server" if step.server_side else "model") for step in steps]


def edges_of(run: RunPlan) -> list[tuple[str, str]]:
    """Return parent and child of every edge, as the engine reads them from the canvas."""
    ids = {step.slug: f"id of {step.slug}" for step in run.steps()}
    return list(canvas.edges(canvas.construct(run, queues={False: "model", True: "server"}, task_ids=ids)))


def test_input_generation_is_the_contracts_table() -> None:
    steps = plan_of(RunKind.INPUTS, lookup=2).steps()

    params = "prepare_input_generation_params"
    assert rows(steps) == [
        (params, "prepare-input-generation-params", "Prepare input generation params", "model"),
        ("pre_analysis_hook", "pre-analysis-hook", "Pre analysis hook", "model"),
        ("prepare_keys_file_chunk", "prepare-keys-file-0", "Prepare keys file 0", "model"),
        ("prepare_keys_file_chunk", "prepare-keys-file-1", "Prepare keys file 1", "model"),
        ("collect_keys", "collect-keys", "Collect keys", "model"),
        ("write_input_files", "write-input-files", "Write input files", "model"),
        ("record_input_files", "record-input-files", "Record input files", "server"),
        ("cleanup_input_generation", "cleanup-input-generation", "Cleanup input generation", "model"),
    ]


def test_loss_generation_is_the_contracts_table() -> None:
    steps = plan_of(RunKind.LOSSES, loss=2).steps()

    params, directory = "prepare_losses_generation_params", "prepare_losses_generation_directory"
    assert rows(steps) == [
        (params, "prepare-losses-generation-params", "Prepare losses generation params", "model"),
        (directory, "prepare-losses-generation-directory", "Prepare losses generation directory", "model"),
        ("generate_losses_chunk", "generate-losses-chunk-0", "Generate losses chunk 0", "model"),
        ("generate_losses_chunk", "generate-losses-chunk-1", "Generate losses chunk 1", "model"),
        ("generate_losses_output", "generate-losses-output", "Generate losses output", "model"),
        ("record_losses_files", "record-losses-files", "Record losses files", "server"),
        ("cleanup_losses_generation", "cleanup-losses-generation", "Cleanup losses generation", "model"),
    ]


def test_a_v1_run_is_one_task_a_phase_and_its_recording() -> None:
    steps = plan_of(RunKind.BOTH, mode=RunMode.V1, lookup=5, loss=5).steps()

    assert rows(steps) == [
        ("generate_input", "generate-input", "Generate input", "model"),
        ("record_generate_input_result", "record-generate-input-result", "Record generate input result", "server"),
        ("run_analysis", "run-analysis", "Run analysis", "model"),
        ("record_run_analysis_result", "record-run-analysis-result", "Record run analysis result", "server"),
    ]


@given(lookup=CHUNKS, loss=CHUNKS)
def test_there_are_as_many_sub_tasks_as_the_contract_counts(lookup: int, loss: int) -> None:
    counts = {kind: len(list(plan_of(kind, lookup=lookup, loss=loss).steps())) for kind in OF_A_MODEL}

    assert counts == {RunKind.INPUTS: lookup + 6, RunKind.LOSSES: loss + 5, RunKind.BOTH: lookup + loss + 11}


@pytest.mark.parametrize("mode", RunMode)
def test_generate_and_run_is_input_generation_and_then_losses(mode: RunMode) -> None:
    inputs, losses = (plan_of(kind, mode=mode, lookup=2, loss=3) for kind in (RunKind.INPUTS, RunKind.LOSSES))

    both = plan_of(RunKind.BOTH, mode=mode, lookup=2, loss=3)

    assert both.stages == inputs.stages + losses.stages


@given(kind=KINDS, lookup=CHUNKS, loss=CHUNKS)
def test_no_two_sub_tasks_of_a_run_have_the_same_slug(kind: RunKind, lookup: int, loss: int) -> None:
    slugs = [step.slug for step in plan_of(kind, lookup=lookup, loss=loss).steps()]

    assert len(slugs) == len(set(slugs))


@given(lookup=CHUNKS, loss=CHUNKS)
def test_the_chunks_of_a_stage_are_numbered_from_0_and_know_how_many_they_are(lookup: int, loss: int) -> None:
    run = plan_of(RunKind.BOTH, lookup=lookup, loss=loss)

    numbers = {stage[0].task: [(step.index, step.count) for step in stage] for stage in run.stages}

    assert numbers.pop("prepare_keys_file_chunk") == [(index, lookup) for index in range(lookup)]
    assert numbers.pop("generate_losses_chunk") == [(index, loss) for index in range(loss)]
    assert all(alone == [(0, 1)] for alone in numbers.values())


@pytest.mark.parametrize("kind", OF_A_MODEL)
def test_every_step_belongs_to_the_phase_that_it_is_of(kind: RunKind) -> None:
    run = plan_of(kind, lookup=2, loss=2)

    phases = [step.phase for step in run.steps()]

    wanted = {RunKind.INPUTS: [8, 0], RunKind.LOSSES: [0, 7], RunKind.BOTH: [8, 7]}[kind]
    assert phases == [Phase.INPUTS] * wanted[0] + [Phase.LOSSES] * wanted[1]


def test_the_engine_reads_the_edges_of_the_contract_back_from_the_canvas() -> None:
    edges = edges_of(plan_of(RunKind.BOTH, lookup=2, loss=2))

    assert sorted(edges) == sorted(
        [
            ("prepare-input-generation-params", "pre-analysis-hook"),
            ("pre-analysis-hook", "prepare-keys-file-0"),
            ("pre-analysis-hook", "prepare-keys-file-1"),
            ("prepare-keys-file-0", "collect-keys"),
            ("prepare-keys-file-1", "collect-keys"),
            ("collect-keys", "write-input-files"),
            ("write-input-files", "record-input-files"),
            ("record-input-files", "cleanup-input-generation"),
            ("cleanup-input-generation", "prepare-losses-generation-params"),
            ("prepare-losses-generation-params", "prepare-losses-generation-directory"),
            ("prepare-losses-generation-directory", "generate-losses-chunk-0"),
            ("prepare-losses-generation-directory", "generate-losses-chunk-1"),
            ("generate-losses-chunk-0", "generate-losses-output"),
            ("generate-losses-chunk-1", "generate-losses-output"),
            ("generate-losses-output", "record-losses-files"),
            ("record-losses-files", "cleanup-losses-generation"),
        ]
    )


@pytest.mark.parametrize("mode", RunMode)
@pytest.mark.parametrize("kind", RunKind)
@pytest.mark.parametrize(("lookup", "loss"), [(1, 1), (1, 4), (4, 1), (3, 5)])
def test_every_step_of_a_stage_waits_for_every_step_of_the_stage_before_and_for_no_other(
    kind: RunKind, mode: RunMode, lookup: int, loss: int
) -> None:
    run = plan_of(kind, mode=mode, lookup=lookup, loss=loss)

    edges = edges_of(run)

    stages = [[step.slug for step in stage] for stage in run.stages]
    wanted = [pair for before, behind in pairwise(stages) for pair in product(before, behind)]
    assert sorted(edges) == sorted(wanted)


@given(kind=KINDS, mode=st.sampled_from(RunMode), lookup=CHUNKS, loss=CHUNKS)
def test_a_step_reads_only_what_an_earlier_stage_wrote_or_the_analysis_has(
    kind: RunKind, mode: RunMode, lookup: int, loss: int
) -> None:
    run = plan_of(kind, mode=mode, lookup=lookup, loss=loss)
    there = USERS_OWN | ({labels.INPUT} if kind is RunKind.LOSSES else set())

    for stage in run.stages:
        read = {label for step in stage for label in step.reads}
        assert read <= there
        there |= {label for step in stage for label in step.writes}


@given(kind=KINDS, lookup=CHUNKS, loss=CHUNKS)
def test_no_two_steps_of_a_stage_write_the_same_file(kind: RunKind, lookup: int, loss: int) -> None:
    run = plan_of(kind, lookup=lookup, loss=loss)

    for stage in run.stages:
        written = [label for step in stage for label in step.writes]
        assert len(written) == len(set(written))


@given(lookup=st.integers(2, 60))
def test_each_of_several_keys_chunks_gets_its_own_slice_of_the_exposure_and_no_more_of_it(lookup: int) -> None:
    steps = list(plan_of(RunKind.INPUTS, lookup=lookup).steps())
    [cut] = [step for step in steps if step.task == tasks.PRE_ANALYSIS_HOOK]
    chunks = [step for step in steps if step.task == tasks.PREPARE_KEYS_FILE_CHUNK]

    assert set(cut.writes) == {labels.PREPARED_EXPOSURE, *(f"exposure_slice-{index}" for index in range(lookup))}
    for index, chunk in enumerate(chunks):
        assert set(chunk.reads) == {labels.SETTINGS, labels.COMPLEX_DATA_PREFIX, f"exposure_slice-{index}"}


def test_the_only_keys_chunk_reads_the_exposure_itself() -> None:
    steps = {step.slug: step for step in plan_of(RunKind.INPUTS, lookup=1).steps()}

    assert {labels.LOCATION, labels.PREPARED_EXPOSURE} <= set(steps["prepare-keys-file-0"].reads)
    assert steps["pre-analysis-hook"].writes == (labels.PREPARED_EXPOSURE,)


@given(lookup=CHUNKS, loss=CHUNKS)
def test_a_join_reads_the_part_of_every_chunk(lookup: int, loss: int) -> None:
    steps = {step.slug: step for step in plan_of(RunKind.BOTH, lookup=lookup, loss=loss).steps()}

    keys, output = steps["collect-keys"].reads, steps["generate-losses-output"].reads

    assert list(keys) == [f"keys-{index}" for index in range(lookup)]
    assert [label for label in output if label.startswith("work-")] == [f"work-{index}" for index in range(loss)]
    assert [label for label in output if label.startswith("log-")] == [f"log-{index}" for index in range(loss)]


@pytest.mark.parametrize("mode", RunMode)
@pytest.mark.parametrize("phase", Phase)
def test_the_server_records_the_results_of_a_phase_once_when_they_are_all_written(phase: Phase, mode: RunMode) -> None:
    kind = RunKind.BOTH if phase in PHASES[RunKind.BOTH] else RunKind(phase)
    run = plan_of(kind, mode=mode, lookup=2, loss=2)

    steps = [step for step in run.steps() if step.phase is phase]
    (recorder,) = (step for step in steps if step.server_side)
    before = steps[: steps.index(recorder)]

    assert set(recorder.reads) == set(RESULTS[phase])
    assert set(RESULTS[phase]) <= {label for step in before for label in step.writes}


def test_results_have_the_names_of_the_analysis_fields_that_clients_see() -> None:
    assert set(RESULTS[Phase.INPUTS]) == {
        "input_file",
        "lookup_errors_file",
        "lookup_success_file",
        "lookup_validation_file",
        "summary_levels_file",
        "settings_file",
        "input_generation_traceback_file",
    }
    # The inputs come back with the occurrences of the events among them.
    assert set(RESULTS[Phase.LOSSES]) == {"output_file", "run_log_file", "run_traceback_file", "input_file"}


@pytest.mark.parametrize(
    ("kind", "task"),
    [
        (RunKind.VALIDATION, "run_oed_validation"),
        (RunKind.EXPOSURE, "run_exposure_run"),
        (RunKind.TRANSFORM, "run_exposure_transform"),
        (RunKind.COMBINE, "run_combine"),
    ],
)
def test_what_needs_no_model_is_one_task_and_its_recording(kind: RunKind, task: str) -> None:
    work, record = plan_of(kind, mode=RunMode.V1).steps()

    assert (work.task, work.server_side, record.server_side) == (task, False, True)
    assert record.reads == work.writes
    assert {work.phase, record.phase} == set(PHASES[kind])


@pytest.mark.parametrize("kind", RunKind)
def test_the_phases_of_a_run_are_those_of_its_steps_in_order(kind: RunKind) -> None:
    phases = [step.phase for step in plan_of(kind, lookup=2, loss=2).steps()]

    assert tuple(dict.fromkeys(phases)) == PHASES[kind]


@pytest.mark.parametrize(
    ("task", "count", "alone"),
    [
        (tasks.RUN_ANALYSIS, 1, True),
        (tasks.GENERATE_LOSSES_CHUNK, 1, True),
        (tasks.GENERATE_LOSSES_CHUNK, 2, False),
        (tasks.GENERATE_LOSSES_OUTPUT, 1, True),
        (tasks.CLEANUP_LOSSES_GENERATION, 1, False),
    ],
)
def test_one_of_several_chunks_is_for_one_core(task: str, count: int, alone: bool) -> None:  # noqa: FBT001 - a case
    assert is_for_all_cores(task=task, count=count) is alone
