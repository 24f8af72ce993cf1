"""Every operation, asked in the name of everybody: nobody gets in who should not, nobody is kept out who may.

What is expected follows from the policy that the route's view declares, and from whose the row is.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from django.db import transaction
from django.test import override_settings

from qanat.server.analyses.models import Analysis
from qanat.server.api.common.policy import ANYBODY, STAFF, USERS, ByGroups, Policy
from qanat.server.api.workers.tokens import STEP_TOKEN, WORKER_KEY
from qanat.server.config import celery  # noqa: F401 - as the server's entry point does
from tests.api.authorisation.cast import OTHERS, Cast, Question, ask
from tests.api.authorisation.cast import USERS as PEOPLE
from tests.api.authorisation.operations import Operation, operations
from tests.api.authorisation.questions import OF_A_PROVIDER, question

pytestmark = pytest.mark.django_db
EVERYBODY = (*PEOPLE, *OTHERS)
LET_IN: Mapping[Policy, tuple[str, ...]] = {
    ANYBODY: EVERYBODY,
    USERS: PEOPLE,
    STAFF: ("staff", "superuser"),
    WORKER_KEY: ("worker key",),
    STEP_TOKEN: ("step token",),
}
KEPT_OUT_OF_A_GROUP = {
    # Who may not see a row does not find it; who may not write to it is told so, but for staff.
    True: {"another group": "not found", "no group": "not found", "staff": "not found"},
    False: {"another group": "refused", "no group": "refused", "staff": "not found"},
}
MEMBERS = ("same group", "another group")
SEES_THE_GROUPS = ("same group", "superuser")
SEES_WHAT_IS_NOBODYS = ("no group", "staff", "superuser")
STRANGERS = ("another group", "no group", "staff")


def expected(operation: Operation, asked: Question, *, whose: str) -> dict[str, str]:
    """Return the verdict on everybody."""
    if operation.key in OF_A_PROVIDER:
        return dict.fromkeys(EVERYBODY, "400")
    policy = operation.policy
    if not isinstance(policy, ByGroups):
        assert policy is not None
        assert policy in LET_IN, f"{operation} has a policy that this test does not know: say whom it lets in"
        return {who: "done" if who in LET_IN[policy] else "refused" for who in EVERYBODY}
    verdicts = dict.fromkeys(PEOPLE, "done") | dict.fromkeys(OTHERS, "refused")
    if not operation.arguments:
        return verdicts | dict.fromkeys(STRANGERS, "400") if asked.names_rows else verdicts
    if whose == "of the group":
        return verdicts | KEPT_OUT_OF_A_GROUP[operation.reads]
    if operation.endpoint.model is not Analysis:
        return verdicts | dict.fromkeys(MEMBERS, "not found")
    # Everybody sees what inherits no group; but members cannot name in a body what has no group of its own.
    return verdicts | dict.fromkeys(MEMBERS, "400") if asked.names_rows else verdicts


@pytest.fixture(scope="module")
def cast(django_db_setup: None, django_db_blocker: Any) -> Iterator[Cast]:  # noqa: ANN401 - pytest-django's own
    """Everybody and everything, made once; passwords are hashed quickly."""
    quick = override_settings(PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"])
    with django_db_blocker.unblock(), quick, transaction.atomic():
        yield Cast.assemble()
        transaction.set_rollback(True)


ALL = list(operations())
ON_ROWS = [operation for operation in ALL if isinstance(operation.policy, ByGroups) and operation.arguments]
LISTS = [
    operation
    for operation in ALL
    if isinstance(operation.policy, ByGroups) and operation.reads and not operation.arguments
]


@pytest.mark.parametrize("operation", ALL, ids=str)
def test_an_operation_on_what_a_group_has(cast: Cast, operation: Operation) -> None:
    rows = cast.rows["of the group", operation.version]
    asked = question(operation, cast, rows)

    verdicts = {who: ask(cast, operation, asked, who=who, rows=rows).verdict for who in EVERYBODY}

    assert verdicts == expected(operation, asked, whose="of the group")


@pytest.mark.parametrize("operation", ON_ROWS, ids=str)
def test_an_operation_on_what_no_group_has(cast: Cast, operation: Operation) -> None:
    rows = cast.rows["of nobody", operation.version]
    asked = question(operation, cast, rows)

    verdicts = {who: ask(cast, operation, asked, who=who, rows=rows).verdict for who in EVERYBODY}

    assert verdicts == expected(operation, asked, whose="of nobody")


@pytest.mark.parametrize("operation", LISTS, ids=str)
def test_a_list_has_what_its_reader_sees(cast: Cast, operation: Operation) -> None:
    table = operation.endpoint.model
    theirs, nobodys = (cast.rows[whose, operation.version].of(table).pk for whose in ("of the group", "of nobody"))
    inherited = operation.endpoint.model is Analysis

    for who in PEOPLE:
        rows = cast.rows["of the group", operation.version]
        listed = {row["id"] for row in ask(cast, operation, Question(), who=who, rows=rows).document}
        assert (theirs in listed) == (who in SEES_THE_GROUPS), who
        assert (nobodys in listed) == (inherited or who in SEES_WHAT_IS_NOBODYS), who


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS"])
def test_nothing_is_told_of_what_is_kept(cast: Cast, method: str) -> None:
    told = {}
    for operation in ALL:
        if operation.policy is not ANYBODY:
            rows = cast.rows["of the group", operation.version]
            other = dataclasses.replace(operation, method=method)
            told[operation.path] = ask(cast, other, Question(), who="anonymous", rows=rows).verdict

    assert set(told.values()) == {"refused"}
