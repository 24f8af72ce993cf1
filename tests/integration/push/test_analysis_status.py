"""``/ws/analysis-status/``, as kernels speak to it (wire contract, section 6.3)."""

import json
from collections.abc import Callable

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from qanat.contract.worker_protocol import STEP_TOKEN_SCHEME
from tests.integration.push import backstage
from tests.integration.push.backstage import Somebody
from tests.integration.push.stage import PATIENCE, Stage

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("push")]
PATH = "/ws/analysis-status/"
Eventually = Callable[[Callable[[], object]], None]


@pytest.fixture
def token(stage: Stage, running: int) -> str:
    """The token of the first step that goes through the events of the analysis whose losses run."""
    return stage.do(backstage.take_one_that_goes_through_events, running)


def say(stage: Stage, *messages: object, authorization: str = "") -> None:
    """Say things, each on a connection of its own, as kernels do; in what order they are heard nobody knows."""
    for message in messages:
        with stage.connect(PATH, authorization=authorization) as connection:
            connection.send(json.dumps(message))


def refusal_of(stage: Stage, message: str | bytes, *, authorization: str = "") -> int:
    """Return the code with which a message is refused."""
    with stage.connect(PATH, authorization=authorization) as connection:
        connection.send(message)
        with pytest.raises(ConnectionClosed) as closed:
            connection.recv(timeout=PATIENCE)
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code


@pytest.mark.usefixtures("token")
def test_what_a_stock_kernel_says_of_a_running_analysis_is_shown(
    stage: Stage, me: Somebody, running: int, eventually: Eventually
) -> None:
    say(stage, {"analysis_pk": str(running), "events_total": "10"})
    eventually(lambda: stage.do(backstage.progress, running) == (0, 10))

    say(stage, {"analysis_pk": running, "events_complete": 3}, {"analysis_pk": running, "events_complete": 4.0})

    eventually(lambda: stage.do(backstage.progress, running) == (7, 10))
    with stage.client(me.token) as client:
        shown = client.get(f"v2/analyses/{running}/run_progress/").json()
    assert shown == {"Status": "7/10 gul stages complete"}


@pytest.mark.usefixtures("token")
def test_losses_that_are_done_have_done_all_their_events_whatever_their_kernel_left_out(
    stage: Stage, running: int, eventually: Eventually
) -> None:
    say(stage, {"analysis_pk": running, "events_total": 10})
    eventually(lambda: stage.do(backstage.progress, running) == (0, 10))
    say(stage, {"analysis_pk": running, "events_complete": 3})
    eventually(lambda: stage.do(backstage.progress, running) == (3, 10))

    stage.do(backstage.finish_held, running)
    stage.do(backstage.finish, running)

    assert stage.do(backstage.progress, running) == (10, 10)


@pytest.mark.usefixtures("token")
def test_a_total_begins_anew_and_no_more_is_done_than_there_is(
    stage: Stage, running: int, eventually: Eventually
) -> None:
    with stage.connect(PATH) as connection:
        for message in ({"events_total": 10}, {"events_complete": 5}, {"events_total": 20}, {"events_complete": 99}):
            connection.send(json.dumps({"analysis_pk": running, **message}))

        eventually(lambda: stage.do(backstage.progress, running) == (20, 20))


def test_a_step_is_believed_by_its_token(stage: Stage, running: int, token: str, eventually: Eventually) -> None:
    mine = f"{STEP_TOKEN_SCHEME} {token}"

    say(stage, {"analysis_pk": 0, "events_total": "8"}, authorization=mine)
    eventually(lambda: stage.do(backstage.progress, running) == (0, 8))

    say(stage, {"analysis_pk": 0, "events_complete": 2}, authorization=mine)

    eventually(lambda: stage.do(backstage.progress, running) == (2, 8))


def test_what_is_proved_is_not_changed_by_what_anybody_says(
    stage: Stage, running: int, token: str, eventually: Eventually
) -> None:
    proof = f"{STEP_TOKEN_SCHEME} {token}"
    say(stage, {"events_total": 8}, authorization=proof)
    eventually(lambda: stage.do(backstage.progress, running) == (0, 8))
    say(stage, {"events_complete": 2}, authorization=proof)
    eventually(lambda: stage.do(backstage.progress, running) == (2, 8))

    say(stage, {"analysis_pk": running, "events_total": 1000}, {"analysis_pk": running, "events_complete": 999})
    say(stage, {"events_complete": 1}, authorization=proof)

    eventually(lambda: stage.do(backstage.progress, running) == (3, 8))


@pytest.mark.parametrize("proof", ["forged", "ended"])
def test_a_token_of_no_running_step_is_refused(stage: Stage, running: int, token: str, proof: str) -> None:
    stage.do(backstage.finish_held, running)
    given = token if proof == "ended" else "forged"

    with pytest.raises(InvalidStatus) as refused:
        say(stage, {"events_total": 1}, authorization=f"{STEP_TOKEN_SCHEME} {given}")

    assert refused.value.response.status_code == 403


@pytest.mark.parametrize("which", ["ready", "unknown", "ended"])
def test_nothing_is_believed_of_an_analysis_that_does_not_run(stage: Stage, me: Somebody, which: str) -> None:
    analysis = 10**9 if which == "unknown" else stage.do(backstage.analysis, me.group)
    if which == "ended":
        stage.do(backstage.begin, analysis, me.id)
        stage.do(backstage.finish, analysis)

    code = refusal_of(stage, json.dumps({"analysis_pk": analysis, "events_total": 5}))

    assert code == 1008
    if which != "unknown":
        assert stage.do(backstage.progress, analysis) == (0, 0)


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("{", 4011),
        (b"{}", 4011),
        ("[]", 1008),
        ("{}", 1008),
        ('{"events_total": 5}', 1008),
        ('{"analysis_pk": PK, "events_total": "many"}', 1008),
        ('{"analysis_pk": PK, "events_total": -1}', 1008),
        ('{"analysis_pk": PK, "events_total": NaN}', 1008),
        ('{"analysis_pk": PK, "events_total": 1e300}', 1008),
        ('{"analysis_pk": PK, "events_complete": true}', 1008),
        ('{"analysis_pk": [PK], "events_total": 5}', 1008),
        # Its name is in the environment of whatever the test starts, which holds no megabyte.
        pytest.param('{"analysis_pk": PK, "text": "' + "x" * 2**20 + '"}', 1009, id="huge"),
    ],
)
def test_what_is_not_understood_changes_nothing(
    stage: Stage, running: int, token: str, message: str | bytes, code: int
) -> None:
    said = message.replace("PK", str(running)) if isinstance(message, str) else message

    assert refusal_of(stage, said) == code

    assert stage.do(backstage.progress, running) == (0, 0)
