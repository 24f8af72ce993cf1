"""Fixtures of the engine's tests."""

from collections.abc import Iterator

import pytest

from qanat.server.runs import doorbell
from qanat.server.runs.projection import register
from tests.integration.engine.world import World


@pytest.fixture
def world(db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """An engine whose messages the test holds in its hands."""
    world = World()
    monkeypatch.setattr(doorbell, "ring", world.ring)
    before = register(world.statuses)
    yield world
    register(before)
