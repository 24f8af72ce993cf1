"""What users and workers do; called by the tests, done in a process of its own (``stage``)."""

import datetime as dt
from dataclasses import dataclass

from django.contrib.auth.models import Group, User
from django.contrib.sessions.backends.db import SessionStore
from django.test import RequestFactory
from rest_framework_simplejwt.tokens import AccessToken, RefreshToken

from qanat.contract import queues
from qanat.contract.statuses import AnalysisStatus, RunKind, RunMode, RunState, StepState
from qanat.domain.run_plan import GO_THROUGH_EVENTS
from qanat.server.analyses.models import Analysis
from qanat.server.api.workers.tokens import step_token
from qanat.server.queues.tasks import queue_digest
from qanat.server.runs.models import Event, Run, Step
from tests.api.caller import Caller
from tests.api.world import Workers
from tests.factories import make_analysis, make_complete_analysis, make_group, make_model, make_portfolio, make_user
from tests.integration.engine.world import Held, Message

workers = Workers()
RECORDS = (queues.V1_RECORDS, queues.V2_RECORDS)
ACTIONS = {RunKind.INPUTS: "generate_inputs", RunKind.LOSSES: "run"}


@dataclass(frozen=True, kw_only=True)
class Somebody:
    """A user who is the only member of a group of their own."""

    id: int
    group: int
    token: str
    refresh_token: str


def somebody(*, of: int | None = None, superuser: bool = False, token_seconds: float = 3600) -> Somebody:
    """Return a new user, in a group of their own unless another is given."""
    group = make_group() if of is None else Group.objects.get(pk=of)
    user = make_user(group, superuser=superuser)
    token = AccessToken.for_user(user)
    token.set_exp(lifetime=dt.timedelta(seconds=token_seconds))
    return Somebody(id=user.pk, group=group.pk, token=str(token), refresh_token=str(RefreshToken.for_user(user)))


def session_of(user_id: int) -> str:
    """Return the cookie of a session in which a user is logged in."""
    from django.contrib.auth import login  # noqa: PLC0415 - once

    request = RequestFactory().get("/")
    request.session = SessionStore()
    login(request, User.objects.get(pk=user_id))
    request.session.save()
    return str(request.session.session_key)


def switch_off(user_id: int) -> None:
    """Make a user inactive."""
    User.objects.filter(pk=user_id).update(is_active=False)


def move(user_id: int, *, to: int | None) -> None:
    """Put a user into another group, or into none."""
    User.objects.get(pk=user_id).groups.set([] if to is None else [to])


def analysis(group: int, *, mode: str = "V2", status: str = AnalysisStatus.READY) -> int:
    """Return a new analysis of a group."""
    of = Group.objects.get(pk=group)
    portfolio, model = make_portfolio(of), make_model(of, run_mode=mode)
    if status == AnalysisStatus.READY:
        return make_complete_analysis(portfolio=portfolio, model=model).pk
    return make_analysis(portfolio=portfolio, model=model, status=status).pk


def queue_of(analysis_id: int) -> str:
    """Return the queue of the model of an analysis."""
    model = Analysis.objects.select_related("model").get(pk=analysis_id).model
    assert model is not None
    return model.queue(RunMode(str(model.run_mode)))


def begin(analysis_id: int, user_id: int, *, kind: RunKind = RunKind.LOSSES) -> None:
    """Have an analysis run, and its steps planned."""
    mode = Analysis.objects.select_related("model").get(pk=analysis_id).model.run_mode  # type: ignore[union-attr]
    answer = Caller(User.objects.get(pk=user_id), str(mode).lower()).post(f"analyses/{analysis_id}/{ACTIONS[kind]}/")
    assert answer.code == 200, answer.content
    workers.control()


def finish(analysis_id: int) -> None:
    """Have honest workers do all that there is to do for an analysis; what other tests have left, is left."""
    while Run.objects.filter(analysis_id=analysis_id, state__in=(RunState.SUBMITTED, RunState.ACTIVE)).exists():
        workers.control()
        work = [message for message in workers.messages if message.queue in RECORDS or _is_of(analysis_id, message)]
        assert work
        for message in work:
            workers.messages.remove(message)
            workers.deliver(message)
        finish_held(analysis_id)


def take_any(analysis_id: int) -> str:
    """Have a worker take the first step of an analysis that is to be had; return its token."""
    workers.control()
    mine = next(message for message in workers.messages if _is_of(analysis_id, message))
    workers.messages.remove(mine)
    held = workers.deliver(mine)
    assert held is not None
    return step_token(step_id=held.step_id, fence=held.fence)


def take_one_that_goes_through_events(analysis_id: int) -> str:
    """Have a worker take the first step of an analysis in which the kernel has events; return its token."""
    going = Step.objects.filter(run__analysis_id=analysis_id, state=StepState.RUNNING, task__in=GO_THROUGH_EVENTS)
    while True:
        token = take_any(analysis_id)
        if going.exists():
            return token
        finish_held(analysis_id)


def finish_held(analysis_id: int) -> None:
    """Have workers commit the steps of an analysis that they hold."""
    for held in [each for each in workers.held if _is_of(analysis_id, each)]:
        workers.held.remove(held)
        workers.finish(held)


def _is_of(analysis_id: int, work: Message | Held) -> bool:
    return Step.objects.filter(pk=work.step_id, run__analysis_id=analysis_id).exists()


def cancel(analysis_id: int, user_id: int) -> None:
    """Cancel an analysis."""
    assert Caller(User.objects.get(pk=user_id), "v2").post(f"analyses/{analysis_id}/cancel/").code == 200


def progress(analysis_id: int) -> tuple[int, int]:
    """Return how many events are done, and how many there are."""
    row = Analysis.objects.get(pk=analysis_id)
    return row.num_events_complete, row.num_events_total


def happen(analysis_id: int, *, times: int = 1) -> int:
    """Have the engine note something of the latest run of an analysis; return the number of the last note."""
    run = Run.objects.filter(analysis_id=analysis_id).latest("pk")
    notes = [Event(run=run, at=workers.now, event="noted", to_state=run.state) for _ in range(times)]
    return max(note.pk for note in Event.objects.bulk_create(notes))


def tick() -> None:
    """Do what beat asks for."""
    queue_digest()


def many(group: int, number: int) -> list[int]:
    """Return new analyses of one portfolio that wait for a worker of a V1 model, and such a worker."""
    from qanat.server.runs import claims, clock  # noqa: PLC0415 - once

    of = Group.objects.get(pk=group)
    portfolio, model = make_portfolio(of), make_model(of)
    rows = [Analysis(name=f"Analysis {n}", portfolio=portfolio, model=model, status="NEW") for n in range(number)]
    queue = model.queue(RunMode.V1)
    claims.hello(worker=queue, queues=[queue], slots=1, draining=False, versions={}, now=clock.now())
    return [row.pk for row in Analysis.objects.bulk_create(rows)]


def cut_off() -> None:
    """Have PostgreSQL end all connections but ours, as when it is started anew."""
    from django.db import connection  # noqa: PLC0415 - once

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )


def connections() -> int:
    """Return how many connections PostgreSQL has."""
    from django.db import connection  # noqa: PLC0415 - once

    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'")
        return int(cursor.fetchone()[0])
