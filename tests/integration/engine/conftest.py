"""Fixtures of the engine's tests."""

from collections.abc import Iterator

import pytest

from qanat.contract.statuses import OwnerKind
from qanat.server.runs import doorbell
from qanat.server.runs.projection import register
from tests.integration.engine.world import World


@pytest.fixture
def world(db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """An engine whose messages the test holds in its hands."""
    world = World()
    monkeypatch.setattr(doorbell, "ring", world.ring)
    before = {kind: register(kind, world.statuses) for kind in OwnerKind}
    yield world
    for kind, projection in before.items():
        register(kind, projection)
