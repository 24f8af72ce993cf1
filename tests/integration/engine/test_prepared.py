"""Statements that are written once do what the ORM does each time."""

import datetime as dt

import pytest
from django.db import connection, transaction

from qanat.contract.statuses import StepState
from qanat.server.config.prepared import PreparedInsert, PreparedRows, PreparedUpdate
from qanat.server.runs.models import Event, Run, Step
from tests.integration.engine.world import START, World

TIMES = 10
MARK = 'SELECT "runs_step"."id", "runs_step"."fence" FROM %'


@pytest.fixture
def step(world: World) -> Step:
    """A step of a run that was planned."""
    world.submit(1)
    world.control()
    return Step.objects.order_by("pk")[0]


def values(row: Run | Step | Event) -> dict[str, object]:
    """Return what a row's columns hold, by name."""
    return {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}


def test_rows_and_those_that_they_refer_to_are_what_the_orm_reads(step: Step) -> None:
    query = PreparedRows(
        lambda pk: Step.objects.select_related("run").select_for_update(no_key=True, of=("run", "self")).filter(pk=pk)
    )

    with transaction.atomic():
        [first], [again], none = query(step.pk), query(step.pk), query(step.pk + 1_000_000)

    for found in (first, again):
        assert values(found) == values(step)
        assert values(found.run) == values(step.run)
    assert none == []


def test_columns_that_are_left_out_are_read_when_they_are_asked_for(step: Step) -> None:
    query = PreparedRows(
        lambda run, position: Step.objects.filter(run=run, position__lt=position).only("writes"), holes=2
    )

    found = query(step.run_id, 2)

    assert [one.writes for one in found] == [one.writes for one in step.run.steps.all()[:2]]
    assert found[0].slug == step.run.steps.all()[0].slug


def test_words_of_a_query_are_taken_as_they_are(step: Step) -> None:
    odd = "100% of 'it' %s \\"
    Step.objects.filter(pk=step.pk).update(name=odd)

    assert PreparedRows(lambda run: Step.objects.filter(run=run, name=odd))(step.run_id) == [step]
    assert PreparedRows(lambda run: Step.objects.filter(run=run, name=odd[1:]))(step.run_id) == []


def test_a_row_is_changed_only_where_it_is_as_it_was_loaded(step: Step) -> None:
    change = PreparedUpdate(Step, where=["id", "fence"])
    moment = START + dt.timedelta(microseconds=1)
    changes = {"error": {"message": "ü '%s'"}, "lease_until": moment, "worker": "", "ring_at": None, "log_parts": []}

    assert not change([step.pk, step.fence + 1], {"worker": "another"})
    assert change([step.pk, step.fence], changes)

    fresh = Step.objects.get(pk=step.pk)
    assert {name: getattr(fresh, name) for name in changes} == changes
    assert values(fresh) == values(step) | changes


def test_a_row_is_added(step: Step) -> None:
    event = Event(run_id=step.run_id, at=START, event="run %s", to_state="odd", detail={"x": [1.5, None]})

    PreparedInsert(Event)(event)

    fresh = Event.objects.latest("pk")
    assert values(fresh) | {"id": None} == values(event)


def test_postgresql_reads_what_is_asked_again_and_again_once(step: Step) -> None:
    query = PreparedRows(lambda run: Step.objects.filter(run=run, state=StepState.WAITING).only("fence"))

    for _ in range(TIMES):
        assert query(step.run_id)

    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            known = "SELECT generic_plans, custom_plans FROM pg_prepared_statements WHERE statement LIKE %s"
            cursor.execute(known, [MARK])
            [(generic, custom)] = cursor.fetchall()
        assert generic == 0
        assert TIMES // 2 <= custom < TIMES
