"""A look costs the same for one listener as for many, and nothing is missed."""

import asyncio
from collections.abc import Iterator

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from qanat.contract.statuses import RunKind, RunMode
from qanat.server.accounts.authentication import still_there
from qanat.server.queues import operations
from qanat.server.realtime.listeners import MOST_EVENTS, Dismissed, Letter, Listener, Wants
from qanat.server.realtime.watcher import Ledger
from qanat.server.runs import clock, news
from qanat.server.runs.models import Event, Run
from qanat.server.runs.news import GIVEN_UP_AFTER_SECONDS, Cursor
from tests.factories import make_analysis, make_group, make_portfolio, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def ledger() -> Ledger:
    """A ledger that has seen all there is."""
    ledger = Ledger()
    ledger.look([], [])
    return ledger


@pytest.fixture
def run() -> Run:
    """A run of an analysis that everybody sees."""
    return Run.objects.create(
        analysis_id=make_analysis().pk, kind=RunKind.INPUTS, mode=RunMode.V2, queue="q", created=clock.now()
    )


def note(run: Run, *, number: int | None = None) -> int:
    """Have something happen, with a number of its own where that is given."""
    at = clock.now()
    return Event.objects.create(pk=number, run=run, at=at, event="noted", to_state=run.state).pk


def listen(*users: int, wants: Wants = Wants.QUEUES) -> list[Listener]:
    return [Listener(user_id=user, wants=wants) for user in users]


def test_equals_get_one_document_and_others_their_own(ledger: Ledger) -> None:
    group = make_group()
    make_portfolio(group)
    members, outsider = [make_user(group).pk for _ in range(20)], make_user(make_group()).pk
    listeners = listen(*members, outsider)
    operations.tick(now=clock.now())

    told = ledger.look(listeners, [])

    letters = {listener.user_id: letter for listener, [letter] in told.letters}
    assert len({id(letters[member]) for member in members}) == 1
    assert letters[outsider] is not letters[members[0]]


@pytest.mark.parametrize("wants", list(Wants))
def test_a_look_takes_as_many_queries_for_many_listeners_as_for_one(ledger: Ledger, run: Run, wants: Wants) -> None:
    group = make_group()
    listeners = listen(*[make_user(group).pk for _ in range(50)], wants=wants)
    note(run)
    with CaptureQueriesContext(connection) as one:
        ledger.look(listeners[:1], [])
    note(run)

    with CaptureQueriesContext(connection) as many:
        told = ledger.look(listeners, [])

    assert len(told.letters) == 50
    assert len(many) == len(one) <= 15


def test_a_look_at_nothing_new_takes_two_queries_and_tells_nobody(ledger: Ledger) -> None:
    listeners = listen(make_user().pk)

    with CaptureQueriesContext(connection) as queries:
        told = ledger.look(listeners, [])

    assert (told.letters, len(queries)) == ([], 2)


def test_the_document_that_announces_an_end_is_followed_by_one_without(ledger: Ledger) -> None:
    analysis = make_analysis(status="RUN_COMPLETED")
    run = Run.objects.create(
        analysis_id=analysis.pk, kind=RunKind.LOSSES, mode=RunMode.V1, queue="q", created=clock.now()
    )
    listeners = listen(make_user().pk)
    note(run)

    texts = [[letter.text for _, [letter] in ledger.look(listeners, []).letters] for _ in range(3)]

    assert ["RUN_COMPLETED" in "".join(text) for text in texts] == [True, False, False]
    assert [len(text) for text in texts] == [1, 1, 0]


def test_what_commits_late_is_told_once(ledger: Ledger, run: Run) -> None:
    listeners = listen(make_user().pk, wants=Wants.EVENTS)
    first = note(run)
    note(run, number=first + 2)
    early = ledger.look(listeners, [])
    note(run, number=first + 1)

    late = ledger.look(listeners, [])
    after = ledger.look(listeners, [])

    assert [[letter.number for letter in letters] for _, letters in early.letters] == [[first, first + 2]]
    assert [[letter.number for letter in letters] for _, letters in late.letters] == [[first + 1]]
    assert (early.settled, late.settled, after.letters) == (first, first + 2, [])


def test_an_event_says_to_go_on_before_what_is_missing(ledger: Ledger, run: Run) -> None:
    first = note(run)
    note(run, number=first + 2)

    told = ledger.look(listen(make_user().pk, wants=Wants.EVENTS), [])

    [(_, letters)] = told.letters
    assert [letter.text.splitlines()[0] for letter in letters] == [f"id: {first}", f"id: {first}"]


def test_a_number_that_never_appears_is_given_up(run: Run) -> None:
    cursor = Cursor.at_end(seconds=0)
    first = note(run)
    note(run, number=first + 2)
    cursor.take(seconds=0)

    assert (cursor.settled, cursor.take(seconds=GIVEN_UP_AFTER_SECONDS), cursor.settled) == (first, [], first + 2)


def test_a_cursor_that_begins_knows_what_is_missing(run: Run) -> None:
    first = note(run)
    note(run, number=first + 2)

    cursor = Cursor.at_end(seconds=0)
    note(run, number=first + 1)

    assert [happening.number for happening in cursor.take(seconds=1)] == [first + 1]


def test_a_great_gap_is_not_remembered_number_by_number(run: Run) -> None:
    cursor = Cursor.at_end(seconds=0)
    note(run, number=10**9)

    cursor.take(seconds=0)

    assert len(cursor.missing) < 1001


def test_what_was_not_told_because_of_an_error_is_told_at_the_next_look(
    ledger: Ledger, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    listeners = listen(make_user().pk, wants=Wants.EVENTS)
    number = note(run)
    with monkeypatch.context() as patch:
        patch.setattr("qanat.server.realtime.watcher.still_there", _fail)
        with pytest.raises(ConnectionError):
            ledger.look(listeners, [])

    told = ledger.look(listeners, [])

    assert [[letter.number for letter in letters] for _, letters in told.letters] == [[number]]


def test_while_looks_fail_nothing_piles_up_and_what_came_since_is_told_at_once_afterwards(
    ledger: Ledger, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    listeners = listen(make_user().pk, wants=Wants.EVENTS)
    numbers = []
    with monkeypatch.context() as patch:
        patch.setattr("qanat.server.realtime.watcher.still_there", _fail)
        for _ in range(3):
            numbers.append(note(run))
            with pytest.raises(ConnectionError):
                ledger.look(listeners, [])
    kept = len(ledger.happened)

    first = ledger.look(listeners, [])
    has_more = ledger.has_more
    second = ledger.look(listeners, [])

    told = [letter.number for look in (first, second) for _, letters in look.letters for letter in letters]
    assert (kept, told) == (1, numbers)
    assert (has_more, ledger.has_more) == (True, False)


def test_more_than_a_look_takes_is_told_in_the_next(ledger: Ledger, run: Run) -> None:
    notes = [Event(run=run, at=clock.now(), event="noted", to_state=run.state) for _ in range(news.AT_ONCE + 1)]
    Event.objects.bulk_create(notes)
    listeners = listen(make_user().pk, wants=Wants.EVENTS)

    looks = [(len(ledger.look(listeners, []).letters[0][1]), ledger.has_more) for _ in range(2)]

    assert looks == [(news.AT_ONCE, True), (1, False)]


def _fail(_users: object) -> None:
    raise ConnectionError


def test_whoever_is_switched_off_is_gone_and_told_nothing(ledger: Ledger, run: Run) -> None:
    inactive = listen(make_user(active=False).pk)
    note(run)

    told = ledger.look(inactive, [])

    assert (told.gone, told.letters) == (inactive, [])
    assert still_there([inactive[0].user_id]) == {}


def test_events_are_read_in_bounded_numbers(run: Run) -> None:
    numbers = [note(run) for _ in range(5)]

    assert [happening.number for happening in news.since(numbers[0], limit=2)] == numbers[1:3]


@pytest.fixture
def loop() -> Iterator[asyncio.Runner]:
    """An event loop."""
    with asyncio.Runner() as runner:
        yield runner


def test_of_documents_the_latest_waits_for_a_slow_listener(loop: asyncio.Runner) -> None:
    async def talk() -> list[Letter]:
        (listener,) = listen(1)
        for number in range(3):
            listener.tell(Letter(text=str(number)))
        return await listener.take()

    assert loop.run(talk()) == [Letter(text="2")]


def test_a_reader_for_whom_too_many_events_wait_is_sent_away(loop: asyncio.Runner) -> None:
    async def talk() -> None:
        (listener,) = listen(1, wants=Wants.EVENTS)
        for number in range(MOST_EVENTS + 1):
            listener.tell(Letter(text="", number=number))
        await listener.take()

    with pytest.raises(Dismissed):
        loop.run(talk())
