"""The websocket tells a listener what the listener may see, for as long as the listener is somebody."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from asgiref.testing import ApplicationCommunicator
from django.contrib.auth.models import Group, User
from rest_framework_simplejwt.tokens import AccessToken, RefreshToken

from qanat.server.analyses.models import Analysis
from qanat.server.realtime import consumer
from qanat.server.runs import clock
from qanat.server.runs.models import Event, Run
from tests.api.caller import OK, Caller
from tests.api.world import Workers
from tests.factories import make_complete_analysis, make_group, make_model, make_portfolio, make_user

PATIENCE = 60.0
"""Seconds; nothing takes that long but a test that hangs."""
Message = dict[str, Any]


@pytest.fixture
def group(db: None) -> Group:
    """A group."""
    return make_group()


@pytest.fixture
def listener(group: Group) -> User:
    """A member of the group."""
    return make_user(group)


@pytest.fixture
def queued(group: Group, listener: User, workers: Workers) -> Analysis:
    """An analysis of the group whose inputs wait for workers."""
    row = make_complete_analysis(portfolio=make_portfolio(group), model=make_model(group, run_mode="V2"))
    assert Caller(listener, "v2").post(f"analyses/{row.pk}/generate_inputs/").code == OK
    workers.control()
    return row


class Socket:
    """A connection, as a client has it."""

    def __init__(self, authorization: str) -> None:
        """Be about to connect with this header."""
        communicator: Any = ApplicationCommunicator  # untyped
        headers = [(b"authorization", authorization.encode())]
        scope = {"type": "websocket", "path": "/ws/v2/queue-status/", "headers": headers}
        self.end = communicator(consumer.application, scope)

    async def hear(self) -> Message:
        """Return what the server says next."""
        return dict(await self.end.receive_output(PATIENCE))

    async def hold(self, talk: "Talk") -> None:
        """Connect, talk, and go."""
        await self.end.send_input({"type": "websocket.connect"})
        await talk(self)
        await self.end.send_input({"type": "websocket.disconnect"})
        await self.end.wait(PATIENCE)


Talk = Callable[[Socket], Awaitable[None]]


def listen(authorization: str, talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Connect with a header and hold a conversation; the server looks often."""
    monkeypatch.setattr(consumer, "LOOK_EVERY_SECONDS", 0.01)
    async_to_sync(Socket(authorization).hold)(talk)


def bearer(user: User) -> str:
    return f"Bearer {AccessToken.for_user(user)}"


def analyses_in(message: Message) -> set[int]:
    """Return the ids of the analyses that a message tells of."""
    queues = json.loads(message["text"])["content"]
    return {entry["analysis"]["id"] for queue in queues for entry in queue["analyses"]}


def something_happens() -> None:
    Event.objects.create(run=Run.objects.latest("pk"), at=clock.now(), event="something", to_state="ACTIVE")


def test_a_listener_is_told_of_what_the_group_has(
    queued: Analysis, listener: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def talk(socket: Socket) -> None:
        assert (await socket.hear())["type"] == "websocket.accept"
        assert analyses_in(await socket.hear()) == {queued.pk}

    listen(bearer(listener), talk, monkeypatch)


@pytest.mark.usefixtures("queued")
def test_a_member_of_another_group_is_told_nothing_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async def talk(socket: Socket) -> None:
        await socket.hear()
        assert analyses_in(await socket.hear()) == set()

    listen(bearer(make_user(make_group())), talk, monkeypatch)


def test_membership_ends_for_a_listener_too(queued: Analysis, listener: User, monkeypatch: pytest.MonkeyPatch) -> None:
    async def talk(socket: Socket) -> None:
        await socket.hear()
        before = analyses_in(await socket.hear())

        await sync_to_async(listener.groups.set)([await sync_to_async(make_group)()])
        await sync_to_async(something_happens)()

        assert (before, analyses_in(await socket.hear())) == ({queued.pk}, set())

    listen(bearer(listener), talk, monkeypatch)


@pytest.mark.usefixtures("queued")
def test_a_listener_who_is_switched_off_is_sent_away(listener: User, monkeypatch: pytest.MonkeyPatch) -> None:
    async def talk(socket: Socket) -> None:
        await socket.hear()
        await socket.hear()

        listener.is_active = False
        await sync_to_async(listener.save)()
        await sync_to_async(something_happens)()

        assert (await socket.hear())["type"] == "websocket.close"

    listen(bearer(listener), talk, monkeypatch)


@pytest.mark.parametrize("proof", ["", "Bearer", "Bearer forged", "Basic YTpi", "refresh", "inactive"])
def test_nobody_listens_without_an_access_token(db: None, proof: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = {
        "refresh": lambda: f"Bearer {RefreshToken.for_user(make_user())}",
        "inactive": lambda: bearer(make_user(active=False)),
    }
    authorization = made.get(proof, lambda: proof)()

    async def talk(socket: Socket) -> None:
        assert (await socket.hear())["type"] == "websocket.close"

    listen(authorization, talk, monkeypatch)
