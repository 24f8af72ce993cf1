"""Files that are in storage already are attached by their keys: as copies, all or none, and only what one may read."""

from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from pytest_django import DjangoCaptureOnCommitCallbacks

from qanat.server.files.models import StoredFile
from qanat.server.files.storage import storage
from qanat.server.portfolios.models import Portfolio
from qanat.storage.port import StorageFull
from tests.api.caller import BAD_REQUEST, OK, Caller
from tests.factories import make_file, make_group, make_portfolio, make_user


@pytest.fixture
def empty(user: User) -> Portfolio:
    """A portfolio without files."""
    return make_portfolio(exposed=False, creator=user)


def stored(*groups: Group) -> StoredFile:
    """Return the location file of some portfolio of these groups."""
    file: StoredFile = make_portfolio(*groups).location_file
    return file


def test_a_link_attaches_a_copy(api: Caller, empty: Portfolio, portfolio: Portfolio) -> None:
    key = api.get(f"portfolios/{portfolio.pk}/storage_links/").body["location_file"]

    answer = api.post(f"portfolios/{empty.pk}/storage_links/", {"location_file": key})

    assert answer.code == OK
    assert answer.body == api.get(f"portfolios/{empty.pk}/storage_links/").body
    assert answer.body["location_file"] not in {None, key}
    assert [answer.body[field] for field in ("accounts_file", "currency_conversion_json")] == [None, None]
    mine, theirs = (api.get(f"portfolios/{row.pk}/location_file/") for row in (empty, portfolio))
    assert (mine.content, mine.headers["Content-Type"]) == (theirs.content, theirs.headers["Content-Type"])


def test_a_copy_outlives_its_source(
    api: Caller,
    empty: Portfolio,
    portfolio: Portfolio,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    api.post(f"portfolios/{empty.pk}/storage_links/", {"location_file": portfolio.location_file.key})

    with django_capture_on_commit_callbacks(execute=True):
        api.delete(f"portfolios/{portfolio.pk}/location_file/")

    assert api.get(f"portfolios/{empty.pk}/location_file/").code == OK


def test_a_link_takes_the_place_of_the_file_before(
    api: Caller, portfolio: Portfolio, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    before = portfolio.location_file.key
    other = make_file(b"other")
    make_portfolio(location_file=other)

    with django_capture_on_commit_callbacks(execute=True):
        api.post(f"portfolios/{portfolio.pk}/storage_links/", {"location_file": other.key})

    assert api.get(f"portfolios/{portfolio.pk}/location_file/").content == b"other"
    assert (storage().exists(before), storage().exists(other.key)) == (False, True)


@pytest.mark.parametrize(
    ("body", "field", "reason"),
    [
        ({}, "non_field_errors", "at least one"),
        ({"run_log_file": "a"}, "non_field_errors", "at least one"),
        ({"location_file": None}, "non_field_errors", "at least one"),
        ({"location_file": 1}, "location_file", "Not a valid string"),
        ({"location_file": ["a"]}, "location_file", "Not a valid string"),
        ({"accounts_file": ""}, "accounts_file", "may not be blank"),
        ({"location_file": "nothing.csv"}, "location_file", "no file 'nothing.csv'"),
        ({"location_file": "../../etc/passwd"}, "location_file", "no file '../../etc/passwd'"),
        ({"location_file": "\x00"}, "location_file", "no file"),
    ],
)
def test_what_cannot_be_followed_is_refused_by_field(
    api: Caller, portfolio: Portfolio, body: dict[str, Any], field: str, reason: str
) -> None:
    answer = api.post(f"portfolios/{portfolio.pk}/storage_links/", body)

    assert (answer.code, set(answer.body)) == (BAD_REQUEST, {field})
    assert reason in answer.body[field][0]


def test_a_refused_link_keeps_the_others_back(api: Caller, empty: Portfolio) -> None:
    links = {"location_file": stored().key, "accounts_file": "nothing.csv"}

    answer = api.post(f"portfolios/{empty.pk}/storage_links/", links)

    assert (answer.code, set(answer.body)) == (BAD_REQUEST, {"accounts_file"})
    assert api.get(f"portfolios/{empty.pk}/storage_links/").body["location_file"] is None


def test_a_file_of_another_group_is_as_if_it_were_not_there(version: str, empty: Portfolio) -> None:
    secret = stored(make_group())
    owner = Caller(make_user(), version)

    refused = owner.post(f"portfolios/{empty.pk}/storage_links/", {"location_file": secret.key})
    absent = owner.post(f"portfolios/{empty.pk}/storage_links/", {"location_file": "nothing.csv"})

    assert refused.code == BAD_REQUEST
    assert refused.body["location_file"][0].replace(secret.key, "nothing.csv") == absent.body["location_file"][0]


def test_what_runs_left_in_storage_is_no_file_of_anybody(api: Caller, empty: Portfolio) -> None:
    storage().write("runs/1/keys.csv", [b"secret"])

    answer = api.post(f"portfolios/{empty.pk}/storage_links/", {"location_file": "runs/1/keys.csv"})

    storage().delete("runs/1/keys.csv")
    assert answer.code == BAD_REQUEST


def test_a_copy_belongs_to_the_groups_of_its_portfolio(version: str, db: None) -> None:
    mine, ours = make_group(), make_group()
    member = Caller(make_user(mine, ours), version)
    target = make_portfolio(ours, exposed=False)

    key = stored(mine).key
    link = member.post(f"portfolios/{target.pk}/storage_links/", {"accounts_file": key}).body["accounts_file"]

    assert set(StoredFile.objects.get(key=link).groups.all()) == {ours}


def test_nothing_is_kept_where_storage_is_full(api: Caller, empty: Portfolio, monkeypatch: pytest.MonkeyPatch) -> None:
    links = {"location_file": stored().key, "accounts_file": stored().key}
    whole, files = type(storage()).copy, StoredFile.objects.count()
    copied: list[str] = []

    def copy(self: Any, source: str, target: str) -> int:  # noqa: ANN401 - the storage in use
        if copied:
            raise StorageFull
        copied.append(target)
        return whole(self, source, target)

    monkeypatch.setattr(type(storage()), "copy", copy)
    answer = api.post(f"portfolios/{empty.pk}/storage_links/", links)

    assert (answer.code, StoredFile.objects.count()) == (507, files)
    assert not any(api.get(f"portfolios/{empty.pk}/storage_links/").body.values())


def test_a_link_as_it_was_shown_may_be_given_again(api: Caller, empty: Portfolio) -> None:
    key = stored().key
    shown = api.post(f"portfolios/{empty.pk}/storage_links/", {"location_file": key}).body["location_file"]

    again = api.post(f"portfolios/{empty.pk}/storage_links/", {"location_file": shown})

    assert again.code == 200
    assert api.get(f"portfolios/{empty.pk}/storage_links/").body["location_file"] not in {key, shown}
