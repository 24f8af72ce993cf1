"""What once was an internal error, or went too far, is refused with a sentence."""

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError
from rest_framework_simplejwt.tokens import RefreshToken

from qanat.server.analyses.models import Analysis
from qanat.server.risk_models.models import RiskModel
from tests.api.caller import BAD_REQUEST, FORBIDDEN, UNAUTHORIZED, UNAVAILABLE, Caller
from tests.factories import make_data_file, make_file, make_group, make_model, make_portfolio, make_user

IDENTITY = {"supplier_id": "S", "model_id": "M", "version_id": "1"}


@pytest.mark.parametrize(
    ("content", "content_type", "wanted"),
    [
        (b"", "text/csv", "parquet"),
        (b"a,b\n1\n1,2,3\n", "text/csv", "parquet"),
        (b"PAR1 and nothing", "application/octet-stream", "csv"),
    ],
    ids=["empty", "ragged", "broken parquet"],
)
def test_a_file_that_cannot_be_read_cannot_be_had_in_another_format(
    api: Caller, content: bytes, content_type: str, wanted: str
) -> None:
    file = make_file(content, content_type=content_type)
    portfolio = make_portfolio(location_file=file)

    answer = api.get(f"portfolios/{portfolio.pk}/location_file/", file_format=wanted)

    assert (answer.code, set(answer.body)) == (BAD_REQUEST, {"file_format"})


def test_settings_that_were_uploaded_as_they_are_and_are_no_json(api: Caller, analysis: Analysis) -> None:
    api.upload(f"analyses/{analysis.pk}/settings_file/", b"{", name="s.json", content_type="application/json")

    answer = api.get(f"analyses/{analysis.pk}/settings/")

    assert (answer.code, set(answer.body)) == (BAD_REQUEST, {"settings_file"})


@pytest.mark.parametrize("number", [-1, 2**31, 10**30])
def test_a_number_that_no_column_holds(api: Caller, analysis: Analysis, number: int) -> None:
    answer = api.patch(f"analyses/{analysis.pk}/", {"num_events_total": number})

    assert (answer.code, set(answer.body)) == (BAD_REQUEST, {"num_events_total"})


def test_json_that_nests_without_end(api: Caller) -> None:
    answer = api.send("post", "portfolios/", "[" * 100_000)

    assert answer.code == BAD_REQUEST


def test_half_a_character_where_no_form_looks(db: None) -> None:
    answer = Caller(None).send("post", "access_token/", r'{"username": "\ud800", "password": "x"}')

    assert (answer.code, set(answer.body)) == (BAD_REQUEST, {"detail"})


def test_a_hidden_model_of_another_group_is_not_brought_back(version: str, db: None) -> None:
    hidden = make_model(make_group(), supplier_id="S", model_id="M", version_id="1", deleted=True)
    stranger = make_user(make_group())

    answer = Caller(stranger, version).post("models/", IDENTITY)

    hidden.refresh_from_db()
    assert (answer.code, hidden.deleted) == (FORBIDDEN, True)


def test_a_model_cannot_have_data_files_that_its_maker_may_not_see(version: str, db: None) -> None:
    foreign = make_data_file(make_group())
    stranger = make_user(make_group())

    answer = Caller(stranger, version).post("models/", {**IDENTITY, "data_files": [foreign.pk]})

    assert (answer.code, set(answer.body)) == (BAD_REQUEST, {"data_files"})
    assert not RiskModel.objects.exists()


@pytest.mark.parametrize("gone", [False, True], ids=["disabled", "deleted"])
def test_a_refresh_token_ends_with_its_user(user: User, *, gone: bool) -> None:
    token = RefreshToken.for_user(user)
    if gone:
        user.delete()
    else:
        User.objects.filter(pk=user.pk).update(is_active=False)

    answer = Caller(None, headers={"Authorization": f"Bearer {token}"}).send(
        "post", "refresh_token/", "", content_type="application/x-www-form-urlencoded"
    )

    assert (answer.code, answer.body["code"]) == (UNAUTHORIZED, "token_not_valid")


def test_more_chunks_than_anybody_needs(analysis: Analysis, user: User) -> None:
    route = f"analyses/{analysis.pk}/chunking_configuration/"

    answer = Caller(user, "v2").post(route, {"fixed_analysis_chunks": 10**9})

    assert (answer.code, set(answer.body)) == (BAD_REQUEST, {"fixed_analysis_chunks"})


def test_a_database_that_is_away_is_no_fault_of_the_client(api: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object, **__: object) -> None:
        message = "database is locked"
        raise OperationalError(message)

    monkeypatch.setattr("qanat.server.api.common.resources.visible", away)

    answer = api.get("portfolios/")

    assert answer.code == UNAVAILABLE
    assert "try again" in answer.body["detail"]
