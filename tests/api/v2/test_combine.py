"""The losses of analyses are combined into a new one."""

from typing import Any

import pytest
from django.contrib.auth.models import Group

from qanat.contract.statuses import AnalysisStatus, FailureClass
from qanat.server.analyses.models import Analysis
from qanat.server.portfolios.models import Portfolio
from qanat.server.runs.models import Run
from tests.api.caller import BAD_REQUEST, OK, Caller
from tests.api.world import Workers
from tests.factories import make_analysis, make_file, make_group, make_portfolio, make_user

CONFIG = {"group_number_of_periods": 100}


def make_completed(*groups: Group, **fields: Any) -> Analysis:  # noqa: ANN401 - columns
    archives = {name: make_file(b"tar", filename=f"{name}.tar.gz") for name in ("input_file", "output_file")}
    return make_analysis(
        status=AnalysisStatus.RUN_COMPLETED, portfolio=make_portfolio(*groups), **{**archives, **fields}
    )


def wish(*analyses: Analysis, **changes: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    asked = {"analysis_ids": [row.pk for row in analyses], "config": CONFIG, "name": "Both", **changes}
    return {name: value for name, value in asked.items() if value is not None}


def test_a_new_analysis_is_made_of_the_archives_of_others(api: Caller, workers: Workers) -> None:
    sources = [make_completed(), make_completed()]

    answer = api.post("analyses/combine/", wish(*sources))

    assert answer.code == OK
    assert {name: answer.body[name] for name in ("name", "model", "status")} == {
        "name": "Both",
        "model": None,
        "status": "RUN_STARTED",
    }
    assert Portfolio.objects.get(pk=answer.body["portfolio"]).name == "Both-dummy-portfolio"
    run = Run.objects.get()
    assert (run.queue, run.parameters["combine"]) == ("oasis-internal-worker", CONFIG)
    assert set(run.inputs) == {f"combined/{n}/{name}" for n in (0, 1) for name in ("input_file", "output_file")}


def test_its_losses_are_its_output(api: Caller, workers: Workers) -> None:
    pk = api.post("analyses/combine/", wish(make_completed())).body["id"]

    workers.finish_all()

    shown = api.get(f"analyses/{pk}/").body
    assert shown["status"] == "RUN_COMPLETED"
    name = api.get(f"analyses/{pk}/output_file/").headers["Content-Disposition"]
    assert f"analysis_{pk}_outputs.tar.gz" in name


def test_it_says_why_it_failed(api: Caller, workers: Workers) -> None:
    pk = api.post("analyses/combine/", wish(make_completed())).body["id"]

    workers.fail(workers.take("run-combine"), FailureClass.INPUT)

    assert api.get(f"analyses/{pk}/").body["status"] == "RUN_ERROR"
    answer = api.get(f"analyses/{pk}/run_traceback_file/")
    assert b"It failed." in answer.content
    assert f"analysis_{pk}_errors.txt" in answer.headers["Content-Disposition"]


def test_it_can_be_cancelled(api: Caller, workers: Workers) -> None:
    pk = api.post("analyses/combine/", wish(make_completed())).body["id"]

    answer = api.post(f"analyses/{pk}/cancel/")

    assert answer.body["status"] == "RUN_CANCELLED"
    assert Run.objects.get().state == "cancelled"


def test_it_cannot_be_run_like_an_analysis_with_a_model(api: Caller, workers: Workers) -> None:
    pk = api.post("analyses/combine/", wish(make_completed())).body["id"]
    workers.finish_all()

    answer = api.post(f"analyses/{pk}/run/")

    assert (answer.code, answer.body) == (BAD_REQUEST, {"model": "Model not assigned to analysis"})


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"analysis_ids": None, "config": None}, ["analysis_ids", "config"]),
        ({"analysis_ids": []}, ["analysis_ids"]),
        ({"analysis_ids": ["1"]}, ["analysis_ids"]),
        ({"analysis_ids": [True]}, ["analysis_ids"]),
        ({"analysis_ids": [2**70]}, ["analysis_ids"]),
        ({"config": []}, ["config"]),
        ({"config": {"output_type": "a\0b"}}, ["config"]),
        ({"name": None}, ["name"]),
        ({"name": "x" * 240}, ["name"]),
    ],
)
def test_a_body_that_cannot_be_meant_is_refused(
    api: Caller, workers: Workers, changes: dict[str, Any], fields: list[str]
) -> None:
    answer = api.post("analyses/combine/", wish(make_completed(), **changes))

    assert answer.code == BAD_REQUEST
    assert list(answer.body) == fields
    assert Analysis.objects.count() == 1


def test_a_config_with_half_a_character_is_refused(api: Caller, workers: Workers) -> None:
    body = f'{{"analysis_ids": [{make_completed().pk}], "config": {{"\\ud800": 1}}, "name": "Both"}}'

    answer = api.send("post", "analyses/combine/", body)

    assert (answer.code, list(answer.body)) == (BAD_REQUEST, ["config"])


@pytest.mark.parametrize(
    ("missing", "field"),
    [
        ({"status": AnalysisStatus.READY}, "status"),
        ({"input_file": None}, "input_file"),
        ({"output_file": None}, "output_file"),
    ],
)
def test_an_analysis_that_has_no_losses_is_refused(
    api: Caller, workers: Workers, missing: dict[str, Any], field: str
) -> None:
    lacking = make_completed()
    for name, value in missing.items():
        setattr(lacking, name, value)
    lacking.save()

    answer = api.post("analyses/combine/", wish(make_completed(), lacking))

    assert answer.code == BAD_REQUEST
    assert list(answer.body) == [field]
    assert str(lacking.pk) in answer.body[field][0]


def test_what_others_keep_for_themselves_is_not_there(workers: Workers) -> None:
    mine, theirs = make_group(), make_group()
    api = Caller(make_user(mine), "v2")
    foreign = make_completed(theirs)

    answer = api.post("analyses/combine/", wish(make_completed(mine), foreign))

    assert (answer.code, answer.body) == (BAD_REQUEST, {"analysis_ids": f"There is no analysis {foreign.pk}."})


def test_it_belongs_to_the_groups_of_all_its_sources(workers: Workers) -> None:
    first, second = make_group(), make_group()
    api = Caller(make_user(first, second), "v2")

    answer = api.post("analyses/combine/", wish(make_completed(first), make_completed(second)))

    assert sorted(answer.body["groups"]) == sorted([first.name, second.name])
