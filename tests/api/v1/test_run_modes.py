"""V1 knows one run mode: its models are those that are not of V2, and it runs them as V1."""

import pytest

from qanat.server.runs.models import Run
from tests.api.caller import BAD_REQUEST, NOT_FOUND, OK, Caller, ids
from tests.factories import make_complete_analysis, make_file, make_model, make_portfolio


def test_models_of_run_mode_v2_are_not_listed(api: Caller) -> None:
    v1, _, undecided = make_model(), make_model(run_mode="V2"), make_model(run_mode=None)

    assert ids(api.get("models/")) == [v1.pk, undecided.pk]


@pytest.mark.parametrize("run_mode", ["V2", None])
@pytest.mark.parametrize("action", ["generate_inputs", "run"])
def test_an_analysis_of_another_run_mode_is_shown_but_not_run(api: Caller, action: str, run_mode: str | None) -> None:
    row = make_complete_analysis(model=make_model(run_mode=run_mode))

    answer = api.post(f"analyses/{row.pk}/{action}/")

    assert api.get(f"analyses/{row.pk}/").code == OK
    assert (answer.code, set(answer.body)) == (BAD_REQUEST, {"model"})
    assert not Run.objects.exists()


def test_an_analysis_of_a_model_of_run_mode_v2_is_not_made(api: Caller) -> None:
    body = {"name": "A", "portfolio": make_portfolio().pk, "model": make_model(run_mode="V2").pk}

    answer = api.post("analyses/", body)

    assert (answer.code, set(answer.body)) == (BAD_REQUEST, {"model"})


def test_another_run_mode_cannot_be_asked_for(api: Caller) -> None:
    row = make_complete_analysis()

    answer = api.post(f"analyses/{row.pk}/run/?run_mode_override=V2")

    assert answer.code == OK
    assert Run.objects.get().mode == "V1"


def test_accounts_alone_are_enough(api: Caller) -> None:
    row = make_complete_analysis(portfolio=make_portfolio(exposed=False, accounts_file=make_file()))

    assert api.post(f"analyses/{row.pk}/generate_inputs/").code == OK


@pytest.mark.parametrize(
    "path",
    [
        "analyses/1/generate_and_run/",
        "analyses/1/sub_task_list/",
        "analyses/1/chunking_configuration/",
        "analyses/1/input_file_tar_list/",
        "models/1/chunking_configuration/",
        "analysis-task-statuses/",
    ],
)
def test_what_v2_brought_is_not_there(api: Caller, path: str) -> None:
    answer = api.get(path)

    assert answer.code == NOT_FOUND
    assert answer.headers["Content-Type"].startswith("text/html")
