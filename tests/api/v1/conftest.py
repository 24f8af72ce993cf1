"""Fixtures of what V1 does otherwise."""

import pytest


@pytest.fixture
def version() -> str:
    """V1."""
    return "v1"
