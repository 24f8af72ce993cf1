"""Exposure runs and transforms; V2 alone has them."""

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from qanat.contract.statuses import FailureClass
from qanat.server.files.models import StoredFile
from qanat.server.files.storage import storage
from qanat.server.portfolios.models import Portfolio
from qanat.server.runs.models import Run
from tests.api.caller import BAD_REQUEST, NOT_FOUND, OK, Answer, Caller
from tests.api.world import Workers
from tests.factories import make_file, make_portfolio

DEFAULTS = {
    "kernel_alloc_rule_il": 2,
    "kernel_alloc_rule_ri": 3,
    "model_perils_covered": ["AA1"],
    "loss_factor": [1.0],
    "supported_oed_coverage_types": [0],
    "fmpy_sort_output": True,
    "fmpy_low_memory": False,
    "extra_summary_cols": [],
    "check_oed": True,
    "do_disaggregation": True,
    "verbose": False,
}


@pytest.fixture
def insured(db: None) -> Portfolio:
    """A portfolio with locations and accounts."""
    return make_portfolio(accounts_file=make_file(filename="accounts.csv"))


def shown(api: Caller, portfolio: Portfolio) -> Any:  # noqa: ANN401 - JSON
    return api.get(f"portfolios/{portfolio.pk}/").body


@pytest.mark.parametrize(
    ("body", "given"),
    [
        (None, {}),
        ({}, {}),
        ({"params": {}}, {}),
        (
            {"params": {"loss_factor": [0.5, 1.0], "kernel_alloc_rule_il": 1}},
            {"loss_factor": [0.5, 1.0], "kernel_alloc_rule_il": 1},
        ),
        ({"params": {"output_file": "/etc/passwd", "src_dir": "/"}}, {}),
    ],
    ids=["nothing", "no params", "empty", "some", "what nobody may set"],
)
def test_an_exposure_run_gets_what_is_given_and_the_defaults(
    api: Caller, insured: Portfolio, workers: Workers, body: object, given: dict[str, Any]
) -> None:
    answer = api.post(f"portfolios/{insured.pk}/exposure_run/", body)

    assert (answer.code, answer.body) == (OK, {"message": "in queue"})
    assert shown(api, insured)["exposure_status"] == "STARTED"
    assert Run.objects.get().parameters["exposure_run"] == {**DEFAULTS, **given}


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ("all of them", "params"),
        ({"loss_factor": []}, "loss_factor"),
        ({"loss_factor": ["much"]}, "loss_factor"),
        ({"loss_factor": ["nan"]}, "loss_factor"),
        ({"loss_factor": ["inf"]}, "loss_factor"),
        ({"kernel_alloc_rule_il": 9}, "kernel_alloc_rule_il"),
        ({"supported_oed_coverage_types": [16]}, "supported_oed_coverage_types"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(
    api: Caller, insured: Portfolio, workers: Workers, params: object, field: str
) -> None:
    answer = api.post(f"portfolios/{insured.pk}/exposure_run/", {"params": params})

    assert answer.code == BAD_REQUEST
    assert field in str(answer.body)
    assert shown(api, insured)["exposure_status"] == "NONE"


def test_an_exposure_run_needs_locations_and_accounts(api: Caller, portfolio: Portfolio, workers: Workers) -> None:
    answer = api.post(f"portfolios/{portfolio.pk}/exposure_run/", {"params": {}})

    assert answer.code == BAD_REQUEST
    assert answer.body == ["An exposure run needs locations and accounts: upload 'accounts_file' first."]
    assert shown(api, portfolio)["exposure_status"] == "INSUFFICIENT_DATA"


def test_the_result_of_an_exposure_run(api: Caller, insured: Portfolio, workers: Workers) -> None:
    path = f"portfolios/{insured.pk}/exposure_run/"
    assert api.get(path).code == NOT_FOUND

    api.post(path, {"params": {}})
    workers.finish_all()

    answer = api.get(path)
    assert (answer.code, answer.headers["Content-Type"]) == (OK, "text/csv")
    assert f"portfolio_{insured.pk}_exposure_run.csv" in answer.headers["Content-Disposition"]
    assert shown(api, insured)["exposure_status"] == "RUN_COMPLETED"


def test_a_failed_exposure_run_leaves_neither_an_old_result_nor_its_error_beside_a_new_one(
    api: Caller, insured: Portfolio, workers: Workers
) -> None:
    path = f"portfolios/{insured.pk}/exposure_run/"
    api.post(path)
    workers.finish_all()

    api.post(path)
    workers.fail(workers.take("run-exposure-run"), FailureClass.INPUT)
    assert shown(api, insured)["exposure_status"] == "ERROR"
    assert api.get(path).code == NOT_FOUND
    assert api.get(f"portfolios/{insured.pk}/errors_file/").code == OK

    api.post(path)
    workers.finish_all()
    assert api.get(path).code == OK
    assert api.get(f"portfolios/{insured.pk}/errors_file/").code == NOT_FOUND


def test_the_error_of_one_task_outlives_the_success_of_another(
    api: Caller, insured: Portfolio, workers: Workers
) -> None:
    api.post(f"portfolios/{insured.pk}/exposure_run/")
    workers.fail(workers.take("run-exposure-run"), FailureClass.INPUT)

    api.post(f"portfolios/{insured.pk}/validate/")
    workers.finish(workers.take("run-oed-validation"), without="errors")
    workers.finish_all()

    assert shown(api, insured)["exposure_status"] == "ERROR"
    assert api.get(f"portfolios/{insured.pk}/errors_file/").code == OK


def transform(api: Caller, portfolio: Portfolio, **parts: Any) -> Answer:  # noqa: ANN401 - parts of a form
    form = {
        "file_type": "location",
        "mapping_file": SimpleUploadedFile("map.yaml", b"transform: {}", "application/octet-stream"),
        "transform_file": SimpleUploadedFile("air.csv", b"a,b\n1,2\n", "application/octet-stream"),
        **parts,
    }
    given = {name: part for name, part in form.items() if part is not None}
    return api._call("post", f"portfolios/{portfolio.pk}/exposure_transform/", given, format="multipart")


@pytest.mark.parametrize(
    ("file_type", "field"),
    [
        ("location", "location_file"),
        ("accounts", "accounts_file"),
        ("ri_info", "reinsurance_info_file"),
        ("ri_scope", "reinsurance_scope_file"),
    ],
)
def test_a_transform_replaces_its_file_and_validates_the_portfolio(
    api: Caller, portfolio: Portfolio, workers: Workers, file_type: str, field: str
) -> None:
    answer = transform(api, portfolio, file_type=file_type)
    before = shown(api, portfolio)
    assert (answer.code, answer.body) == (OK, {"message": "in queue"})
    assert (before["exposure_transform_status"], before["validation_status"]) == ("STARTED", "STARTED")

    workers.finish(workers.take("run-exposure-transform"))
    workers.finish(workers.take("run-oed-validation"), without="errors")
    workers.finish_all()

    after = shown(api, portfolio)
    assert (after["exposure_transform_status"], after["validation_status"]) == ("RUN_COMPLETED", "RUN_COMPLETED")
    assert after[field]["name"] == f"portfolio_{portfolio.pk}_{field}.csv"
    assert api.get(f"portfolios/{portfolio.pk}/validate/").body[f"{field.removesuffix('_file')}_validated"] is True


def test_nothing_is_left_of_what_a_transform_was_made_of(
    api: Caller,
    portfolio: Portfolio,
    workers: Workers,
    django_capture_on_commit_callbacks: Any,  # noqa: ANN401 - pytest-django's
) -> None:
    transform(api, portfolio)
    sources = list(StoredFile.objects.filter(filename__in=["map.yaml", "air.csv"]).values_list("key", flat=True))

    with django_capture_on_commit_callbacks(execute=True):
        workers.finish_all()

    assert len(sources) == 2
    assert not StoredFile.objects.filter(key__in=sources).exists()
    assert not any(storage().exists(key) for key in sources)


def test_a_failed_transform_leaves_the_exposure_as_it_was(api: Caller, portfolio: Portfolio, workers: Workers) -> None:
    before = shown(api, portfolio)["location_file"]
    transform(api, portfolio)

    workers.fail(workers.take("run-exposure-transform"), FailureClass.INPUT)

    after = shown(api, portfolio)
    assert after["location_file"] == before
    assert (after["exposure_transform_status"], after["validation_status"]) == ("ERROR", "ERROR")
    assert api.get(f"portfolios/{portfolio.pk}/errors_file/").code == OK


def test_a_second_transform_waits_for_the_first(api: Caller, portfolio: Portfolio, workers: Workers) -> None:
    transform(api, portfolio)

    answer = transform(api, portfolio, file_type="accounts")

    assert answer.code == BAD_REQUEST
    assert "is being transformed already: wait" in answer.body[0]
    assert StoredFile.objects.filter(filename="air.csv").count() == 1


@pytest.mark.parametrize(
    ("parts", "field"),
    [
        ({"file_type": "locations"}, "file_type"),
        ({"file_type": None}, "file_type"),
        ({"mapping_file": None}, "mapping_file"),
        ({"transform_file": None}, "transform_file"),
        ({"transform_file": "no file"}, "transform_file"),
    ],
)
def test_a_transform_without_what_it_needs_is_refused(
    api: Caller, portfolio: Portfolio, workers: Workers, parts: dict[str, Any], field: str
) -> None:
    answer = transform(api, portfolio, **parts)

    assert answer.code == BAD_REQUEST
    assert list(answer.body) == [field]
    assert shown(api, portfolio)["exposure_transform_status"] == "NONE"
