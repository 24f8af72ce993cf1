"""Fixtures of the tests of stock workers."""

from collections.abc import Iterator

import pytest

from qanat.contract.statuses import OwnerKind
from qanat.server.config import celery  # noqa: F401 - as the server's entry point does
from qanat.server.runs import doorbell
from qanat.server.runs.projection import register
from tests.integration.stock.world import StockWorld


@pytest.fixture
def stock(db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[StockWorld]:
    """An engine whose model is served by stock workers; the test holds its messages in its hands."""
    world = StockWorld()
    monkeypatch.setattr(doorbell, "ring", world.ring)
    monkeypatch.setattr(doorbell, "send", world.send)
    monkeypatch.setattr(doorbell, "_revoke", world.revoked.extend)
    before = {kind: register(kind, world.statuses) for kind in OwnerKind}
    yield world
    for kind, projection in before.items():
        register(kind, projection)
