"""A model's queue is named as stock workers name it (wire contract, section 4.2)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qanat.contract import queues
from qanat.contract.queues import model_queue, records_queue
from qanat.contract.statuses import RunMode

PART = st.from_regex(r"[A-Za-z0-9_.]{1,20}", fullmatch=True)
IDENTITY = st.tuples(PART, PART, PART)


def queue(identity: tuple[str, str, str], run_mode: RunMode) -> str:
    supplier, model, version = identity
    return model_queue(supplier_id=supplier, model_id=model, version_id=version, run_mode=run_mode)


@pytest.mark.parametrize(
    ("run_mode", "name"), [(RunMode.V1, "OasisLMF-PiWind-2.3.5"), (RunMode.V2, "OasisLMF-PiWind-2.3.5-v2")]
)
def test_a_models_queue_has_the_name_of_the_contract(run_mode: RunMode, name: str) -> None:
    assert queue(("OasisLMF", "PiWind", "2.3.5"), run_mode) == name


@given(identity=IDENTITY, run_mode=st.sampled_from(RunMode))
def test_the_identity_can_be_read_back_from_the_queue(identity: tuple[str, str, str], run_mode: RunMode) -> None:
    name = queue(identity, run_mode)

    assert tuple(name.split("-")) == (identity if run_mode is RunMode.V1 else (*identity, "v2"))


@given(one=IDENTITY, other=IDENTITY, mode_of_one=st.sampled_from(RunMode), mode_of_other=st.sampled_from(RunMode))
def test_two_models_or_two_modes_never_share_a_queue(
    one: tuple[str, str, str], other: tuple[str, str, str], mode_of_one: RunMode, mode_of_other: RunMode
) -> None:
    same = (one, mode_of_one) == (other, mode_of_other)

    assert (queue(one, mode_of_one) == queue(other, mode_of_other)) == same


def test_the_platforms_own_queues_have_the_names_of_the_contract() -> None:
    own = [
        queues.V1_RECORDS,
        queues.V2_RECORDS,
        queues.TASK_CONTROLLER,
        queues.INTERNAL_WORKER,
        queues.WORKER_BROADCAST,
    ]

    assert own == ["celery", "celery-v2", "task-controller", "oasis-internal-worker", "model-worker-broadcast"]


def test_results_are_recorded_on_the_queue_of_their_mode() -> None:
    assert {mode: records_queue(mode) for mode in RunMode} == {RunMode.V1: "celery", RunMode.V2: "celery-v2"}


def test_queues_have_the_priorities_of_the_contract() -> None:
    assert queues.MAX_PRIORITY == 10
