"""A model's scaling begins with what the wire contract says (section 1.6)."""

from qanat.domain.scaling import ScalingOptions, Strategy


def test_the_defaults_are_those_of_the_contract() -> None:
    options = ScalingOptions()

    assert options == ScalingOptions(
        scaling_strategy=Strategy("FIXED_WORKERS"),
        worker_count_fixed=1,
        worker_count_max=10,
        worker_count_min=0,
        chunks_per_worker=10,
    )


def test_the_strategies_are_those_of_the_contract() -> None:
    assert [str(strategy) for strategy in Strategy] == ["FIXED_WORKERS", "QUEUE_LOAD", "DYNAMIC_TASKS"]
