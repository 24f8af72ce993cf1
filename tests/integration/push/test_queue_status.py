"""``/ws/v2/queue-status/``, with a real client against the real server (wire contract, section 6.1)."""

import json
import socket
import struct
from collections.abc import Callable
from contextlib import ExitStack

import psutil
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import Close
from websockets.sync.client import ClientConnection

from tests.integration.push import backstage
from tests.integration.push.backstage import Somebody
from tests.integration.push.stage import PATIENCE, Json, Stage, analyses_in, heard, heard_when, queues_in

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("push")]
MIB = 2**20


def bearer(user: Somebody) -> str:
    return f"Bearer {user.token}"


def ask(ids: object) -> str:
    return json.dumps({"type": "queue_status.filter", "content": {"analyses": ids}})


def ending(connection: ClientConnection) -> Close:
    """Return what the server says as it closes a connection, after what was on its way before."""
    with pytest.raises(ConnectionClosed) as closed:  # noqa: PT012 - whichever message is the last
        while True:
            heard(connection)
    assert closed.value.rcvd is not None
    return closed.value.rcvd


def shows(analysis: int, status: str) -> Callable[[Json], bool]:
    """Return whether a message says that an analysis has a status."""
    return lambda message: analyses_in(message).get(analysis, {}).get("status") == status


def lacks(analysis: int) -> Callable[[Json], bool]:
    """Return whether a message does not speak of an analysis."""
    return lambda message: analysis not in analyses_in(message)


def test_the_first_message_is_the_document_that_http_has(stage: Stage, me: Somebody, running: int) -> None:
    with stage.connect(authorization=bearer(me)) as connection, stage.client(me.token) as client:
        snapshot = heard(connection)
        document = client.get("v2/queue-status/").json()

    assert (snapshot["type"], snapshot["status"]) == ("queue_status.updated", "SUCCESS")
    assert snapshot["time"].endswith("Z")
    assert {**snapshot, "time": None} == {**document, "time": None}
    entry = queues_in(snapshot)[stage.do(backstage.queue_of, running)]
    assert entry["queue"]["models"][0]["settings"].startswith("/api/v2/models/")
    assert [each["updated_tasks"] for each in entry["analyses"]] == [[]]
    assert analyses_in(snapshot)[running]["status_count"]["TOTAL_IN_QUEUE"] > 0


@pytest.mark.parametrize("proof", ["", "Bearer", "Bearer forged", "Basic YTpi", "refresh", "expired", "inactive"])
def test_nobody_listens_without_an_access_token(stage: Stage, me: Somebody, proof: str) -> None:
    if proof == "inactive":
        stage.do(backstage.switch_off, me.id)
    expired = stage.do(backstage.somebody, token_seconds=-1)
    given = {"refresh": f"Bearer {me.refresh_token}", "expired": bearer(expired), "inactive": bearer(me)}

    with pytest.raises(InvalidStatus) as refused, stage.connect(authorization=given.get(proof, proof)):
        pass

    assert refused.value.response.status_code == 403


@pytest.mark.parametrize("path", ["/ws/v2/queue-status/", "/api/ws/v2/queue-status/", "/ws/v2/queue-status"])
def test_any_prefix_is_tolerated(stage: Stage, me: Somebody, path: str) -> None:
    with stage.connect(path, authorization=bearer(me)) as connection:
        assert heard(connection)["status"] == "SUCCESS"


def test_other_paths_are_refused(stage: Stage, me: Somebody) -> None:
    with pytest.raises(InvalidStatus), stage.connect("/ws/v1/queue-status/", authorization=bearer(me)):
        pass


def test_a_filter_is_answered_with_what_it_asks_for_in_any_status(
    stage: Stage, me: Somebody, other: Somebody, running: int
) -> None:
    done = stage.do(backstage.analysis, me.group, mode="V1", status="RUN_COMPLETED")
    foreign = stage.do(backstage.analysis, other.group, mode="V1", status="NEW")

    with stage.connect(authorization=bearer(me)) as connection:
        snapshot = heard(connection)
        connection.send(ask([done, foreign]))
        answer = heard_when(connection, lambda message: message["type"] == "queue_status.filter")

    assert done not in analyses_in(snapshot)
    assert answer["status"] == "SUCCESS"
    assert {pk: row["status"] for pk, row in analyses_in(answer).items()} == {done: "RUN_COMPLETED"}
    assert set(queues_in(answer)) == {stage.do(backstage.queue_of, done)}


def test_a_filter_for_nothing_is_answered_with_nothing(stage: Stage, me: Somebody, running: int) -> None:
    with stage.connect(authorization=bearer(me)) as connection:
        connection.send(ask([]))
        answer = heard_when(connection, lambda message: message["type"] == "queue_status.filter")

    assert answer["content"] == []


@pytest.mark.parametrize(
    ("message", "kind", "detail"),
    [
        ({"type": "queue_status.nonsense", "content": {}}, None, "type"),
        ({"content": {}}, None, "type"),
        ({"type": ["queue_status.filter"], "content": {}}, None, "type"),
        ({"type": "queue_status.filter"}, "queue_status.filter", "content"),
        ([1, 2], None, "object"),
        ("text", None, "object"),
        (None, None, "object"),
        ({"type": "queue_status.filter", "content": [1]}, "queue_status.filter", "analyses"),
        ({"type": "queue_status.filter", "content": {}}, "queue_status.filter", "analyses"),
        ({"type": "queue_status.filter", "content": {"analyses": ["1"]}}, "queue_status.filter", "ids"),
        ({"type": "queue_status.filter", "content": {"analyses": [2**70]}}, "queue_status.filter", "ids"),
        ({"type": "queue_status.filter", "content": {"analyses": [True]}}, "queue_status.filter", "ids"),
        ({"type": "queue_status.filter", "content": {"analyses": [1] * 5001}}, "queue_status.filter", "5000"),
    ],
)
def test_what_is_not_understood_is_answered_with_an_error_and_the_conversation_goes_on(
    stage: Stage, me: Somebody, message: object, kind: str | None, detail: str
) -> None:
    with stage.connect(authorization=bearer(me)) as connection:
        connection.send(json.dumps(message))
        error = heard_when(connection, lambda message: message["status"] == "ERROR")
        connection.send(ask([]))
        answer = heard_when(connection, lambda message: message["type"] == "queue_status.filter")

    assert (error["type"], set(error["content"])) == (kind, {"detail"})
    assert detail in error["content"]["detail"]
    assert answer["status"] == "SUCCESS"


@pytest.mark.parametrize(
    ("message", "code"),
    [("{", 4011), ("", 4011), ("[" * 100_000, 4011), (b"{}", 4011), ("x" * 8 * MIB, 1009)],
    ids=["torn", "empty", "deep", "bytes", "huge"],
)
def test_what_is_no_json_ends_the_connection_and_no_other(
    stage: Stage, me: Somebody, message: str | bytes, code: int
) -> None:
    with stage.connect(authorization=bearer(me)) as bystander, stage.connect(authorization=bearer(me)) as connection:
        connection.send(message)
        closed = ending(connection)
        bystander.send(ask([]))
        answer = heard_when(bystander, lambda message: message["type"] == "queue_status.filter")

    assert closed.code == code
    assert answer["status"] == "SUCCESS"


def test_a_request_is_pushed(stage: Stage, me: Somebody, ready: int) -> None:
    with stage.connect(authorization=bearer(me)) as connection:
        heard(connection)
        stage.do(backstage.begin, ready, me.id)

        pushed = heard_when(connection, lambda m: analyses_in(m).get(ready, {}).get("sub_task_count", 0) > 0)

    assert analyses_in(pushed)[ready]["status"] == "RUN_QUEUED"
    assert queues_in(pushed)[stage.do(backstage.queue_of, ready)]["queue"]["queued_count"] == 1


def test_a_claim_is_pushed(stage: Stage, me: Somebody, running: int) -> None:
    with stage.connect(authorization=bearer(me)) as connection:
        heard(connection)
        stage.do(backstage.take_any, running)

        pushed = heard_when(connection, shows(running, "RUN_STARTED"))

    assert queues_in(pushed)[stage.do(backstage.queue_of, running)]["queue"]["running_count"] == 1


@pytest.mark.parametrize("mode", ["V1", "V2"])
def test_an_analysis_that_ends_is_announced_and_then_no_longer_shown(stage: Stage, me: Somebody, mode: str) -> None:
    analysis = stage.do(backstage.analysis, me.group, mode=mode)
    stage.do(backstage.begin, analysis, me.id)
    with stage.connect(authorization=bearer(me)) as connection:
        heard(connection)
        stage.do(backstage.finish, analysis)

        announced = heard_when(connection, shows(analysis, "RUN_COMPLETED"))
        heard_when(connection, lacks(analysis))

    assert analyses_in(announced)[analysis]["status_count"]["TOTAL_IN_QUEUE"] <= 1  # what cleans up


def test_a_cancelled_analysis_is_announced(stage: Stage, me: Somebody, running: int) -> None:
    with stage.connect(authorization=bearer(me)) as connection:
        heard(connection)
        stage.do(backstage.cancel, running, me.id)

        heard_when(connection, shows(running, "RUN_CANCELLED"))
        heard_when(connection, lacks(running))


def test_the_tick_of_beat_is_pushed_though_nothing_has_happened(stage: Stage, me: Somebody) -> None:
    with stage.connect(authorization=bearer(me)) as connection:
        first = heard(connection)
        stage.do(backstage.tick)

        assert heard(connection)["time"] > first["time"]


def test_a_member_of_another_group_is_told_nothing_of_it(stage: Stage, other: Somebody, running: int) -> None:
    with stage.connect(authorization=bearer(other)) as connection:
        entry = queues_in(heard(connection))[stage.do(backstage.queue_of, running)]

    assert (entry["analyses"], entry["queue"]["models"]) == ([], [])
    assert entry["queue"]["queue_message_count"] == 1


def test_a_change_of_groups_shows_in_the_next_message(
    stage: Stage, me: Somebody, other: Somebody, running: int
) -> None:
    with stage.connect(authorization=bearer(me)) as connection:
        before = heard(connection)
        stage.do(backstage.move, me.id, to=other.group)
        stage.do(backstage.tick)
        after = heard(connection)
        connection.send(ask([running]))
        asked = heard_when(connection, lambda message: message["type"] == "queue_status.filter")

    assert running in analyses_in(before)
    assert (analyses_in(after), analyses_in(asked)) == ({}, {})


@pytest.mark.parametrize("moved_by", ["tick", "question"])
def test_whoever_is_switched_off_is_sent_away(stage: Stage, me: Somebody, moved_by: str) -> None:
    with stage.connect(authorization=bearer(me)) as connection:
        heard(connection)
        stage.do(backstage.switch_off, me.id)
        if moved_by == "tick":
            stage.do(backstage.tick)
        else:
            connection.send(ask([]))

        closed = ending(connection)

    assert closed.code == 1008


def test_a_connection_ends_with_its_token(stage: Stage) -> None:
    brief = stage.do(backstage.somebody, token_seconds=2)

    with stage.connect(authorization=bearer(brief)) as connection:
        closed = ending(connection)

    assert (closed.code, "expired" in closed.reason) == (1008, True)


def test_whoever_was_away_is_told_everything_on_coming_back(stage: Stage, me: Somebody, running: int) -> None:
    with stage.connect(authorization=bearer(me)) as connection:
        heard(connection)
        # Gone without a word, as when a network breaks.
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.socket.close()
    stage.do(backstage.take_any, running)

    with stage.connect(authorization=bearer(me)) as connection:
        assert shows(running, "RUN_STARTED")(heard(connection))


def test_listeners_are_told_on_after_the_database_was_away(stage: Stage, me: Somebody, ready: int) -> None:
    if not stage.postgresql:
        pytest.skip("There is no server that could be away.")
    with stage.connect(authorization=bearer(me)) as connection:
        heard(connection)
        stage.do(backstage.cut_off)
        stage.do(backstage.begin, ready, me.id)

        heard_when(connection, shows(ready, "RUN_QUEUED"))
        connection.send(ask([]))
        heard_when(connection, lambda message: message["type"] == "queue_status.filter")


def test_listeners_that_do_not_read_hold_neither_memory_nor_others(stage: Stage, me: Somebody) -> None:
    stage.do(backstage.many, me.group, 1000)
    role = psutil.Process(stage.websocket_pid)
    with ExitStack() as stack:
        reader = stack.enter_context(stage.connect(authorization=bearer(me)))
        size = len(json.dumps(heard(reader)))
        silent = [stack.enter_context(_deaf(stage, me)) for _ in range(10)]
        before = role.memory_full_info().uss
        for _ in range(20):
            stage.do(backstage.tick)
            heard(reader)
        grown = role.memory_full_info().uss - before

    assert len(silent) == 10
    assert size > 300_000
    # Twenty documents for each of ten would be two hundred; each may have one on its way and one that waits.
    assert grown < 60 * size


def _deaf(stage: Stage, user: Somebody) -> socket.socket:
    """Return a connection whose client does not read."""
    connection = socket.create_connection(("127.0.0.1", stage.websocket_port), timeout=PATIENCE)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.sendall(
        b"GET /ws/v2/queue-status/ HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        b"Authorization: " + bearer(user).encode() + b"\r\n\r\n"
    )
    assert connection.recv(12) == b"HTTP/1.1 101"
    return connection


def test_the_server_says_what_it_serves_to_those_who_speak_plain_http(stage: Stage) -> None:
    with stage.client("") as client:
        answer = client.get(f"http://127.0.0.1:{stage.websocket_port}/")

    assert answer.status_code == 426
