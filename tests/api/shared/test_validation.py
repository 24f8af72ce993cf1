"""A portfolio is validated by the internal worker, and shows what came of it; both versions."""

import pytest
from django.contrib.auth.models import User

from qanat.contract.statuses import FailureClass
from qanat.server.portfolios.models import Portfolio
from qanat.server.runs.models import Run
from tests.api.caller import BAD_REQUEST, FORBIDDEN, NOT_FOUND, OK, Answer, Caller
from tests.api.world import Workers
from tests.factories import make_file, make_group, make_portfolio, make_user

WORK = "run-oed-validation"
NOBODY_KNOWS = {
    "location_validated": False,
    "accounts_validated": None,
    "reinsurance_info_validated": None,
    "reinsurance_scope_validated": None,
}


def status_of(api: Caller, portfolio: Portfolio) -> str:
    return str(api.get(f"portfolios/{portfolio.pk}/").body["validation_status"])


def errors_file(user: User, portfolio: Portfolio) -> Answer:
    return Caller(user, "v2").get(f"portfolios/{portfolio.pk}/errors_file/")


def validate(api: Caller, portfolio: Portfolio, workers: Workers, *, valid: bool = True) -> None:
    assert api.post(f"portfolios/{portfolio.pk}/validate/").code == OK
    workers.finish(workers.take(WORK), without="errors" if valid else "")
    workers.finish_all()


def test_a_portfolio_that_was_never_validated(api: Caller, portfolio: Portfolio) -> None:
    answer = api.get(f"portfolios/{portfolio.pk}/validate/")

    assert answer.body == NOBODY_KNOWS
    assert status_of(api, portfolio) == "NONE"
    assert api.get(f"portfolios/{portfolio.pk}/validation_report/").code == NOT_FOUND


def test_a_request_is_answered_with_what_is_known_so_far(api: Caller, portfolio: Portfolio, workers: Workers) -> None:
    answer = api.post(f"portfolios/{portfolio.pk}/validate/")

    assert answer.body == NOBODY_KNOWS
    assert status_of(api, portfolio) == "STARTED"


def test_a_valid_portfolio(api: Caller, user: User, portfolio: Portfolio, workers: Workers) -> None:
    validate(api, portfolio, workers)

    assert status_of(api, portfolio) == "RUN_COMPLETED"
    assert api.get(f"portfolios/{portfolio.pk}/validate/").body == {**NOBODY_KNOWS, "location_validated": True}
    assert errors_file(user, portfolio).code == NOT_FOUND
    assert api.get(f"portfolios/{portfolio.pk}/validation_report/").headers["Content-Type"] == "application/json"


def test_an_invalid_portfolio_has_an_errors_file_until_it_is_valid(
    api: Caller, user: User, portfolio: Portfolio, workers: Workers
) -> None:
    validate(api, portfolio, workers, valid=False)
    shown = errors_file(user, portfolio)
    assert status_of(api, portfolio) == "ERROR"
    assert (shown.code, shown.headers["Content-Type"]) == (OK, "text/csv")
    assert f"portfolio_{portfolio.pk}_errors.txt" in shown.headers["Content-Disposition"]

    validate(api, portfolio, workers)

    assert status_of(api, portfolio) == "RUN_COMPLETED"
    assert errors_file(user, portfolio).code == NOT_FOUND


def test_a_validation_that_could_not_be_made_says_why(
    api: Caller, user: User, portfolio: Portfolio, workers: Workers
) -> None:
    api.post(f"portfolios/{portfolio.pk}/validate/")

    workers.fail(workers.take(WORK), FailureClass.INPUT)

    assert status_of(api, portfolio) == "ERROR"
    assert b"It failed." in errors_file(user, portfolio).content


def test_a_new_file_is_not_valid_before_it_is_validated(api: Caller, portfolio: Portfolio, workers: Workers) -> None:
    validate(api, portfolio, workers)

    api.upload(f"portfolios/{portfolio.pk}/location_file/", b"a,b\n1,2\n", name="new.csv", content_type="text/csv")

    assert api.get(f"portfolios/{portfolio.pk}/validate/").body["location_validated"] is False


def test_a_file_that_comes_while_another_is_validated_gets_no_flag_of_it(
    api: Caller, portfolio: Portfolio, workers: Workers
) -> None:
    api.post(f"portfolios/{portfolio.pk}/validate/")
    held = workers.take(WORK)

    api.upload(f"portfolios/{portfolio.pk}/location_file/", b"a,b\n1,2\n", name="new.csv", content_type="text/csv")
    workers.finish(held, without="errors")
    workers.finish_all()

    assert api.get(f"portfolios/{portfolio.pk}/validate/").body["location_validated"] is False


def test_the_latest_request_counts(api: Caller, portfolio: Portfolio, workers: Workers) -> None:
    api.post(f"portfolios/{portfolio.pk}/validate/")
    held = workers.take(WORK)

    api.post(f"portfolios/{portfolio.pk}/validate/")

    assert not workers.finish(held)
    assert list(Run.objects.order_by("pk").values_list("state", flat=True)) == ["cancelled", "submitted"]
    workers.finish_all()
    assert Run.objects.latest("pk").state == "succeeded"


def test_a_portfolio_without_files_cannot_be_validated(api: Caller, workers: Workers) -> None:
    portfolio = make_portfolio(exposed=False)

    answer = api.post(f"portfolios/{portfolio.pk}/validate/")

    assert answer.code == BAD_REQUEST
    assert answer.body == ["The portfolio has no OED file to validate: upload one first."]
    assert status_of(api, portfolio) == "INSUFFICIENT_DATA"
    assert not Run.objects.exists()


def test_all_files_are_validated(api: Caller, workers: Workers) -> None:
    portfolio = make_portfolio(accounts_file=make_file(filename="accounts.csv"))

    validate(api, portfolio, workers)

    assert set(Run.objects.get().inputs) == {"location_file", "accounts_file"}


@pytest.mark.django_db
def test_a_portfolio_of_another_group_is_not_validated(version: str) -> None:
    theirs = make_portfolio(make_group())
    stranger = Caller(make_user(make_group()), version)

    assert stranger.post(f"portfolios/{theirs.pk}/validate/").code == FORBIDDEN
    assert stranger.get(f"portfolios/{theirs.pk}/validate/").code == NOT_FOUND
    assert not Run.objects.exists()


def test_deleting_a_portfolio_ends_what_is_done_for_it(api: Caller, portfolio: Portfolio, workers: Workers) -> None:
    api.post(f"portfolios/{portfolio.pk}/validate/")
    held = workers.take(WORK)

    api.delete(f"portfolios/{portfolio.pk}/")

    assert not workers.finish(held)
    assert not Run.objects.exists()
