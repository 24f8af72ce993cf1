"""Fixtures of what V2 alone offers."""

import pytest


@pytest.fixture
def version() -> str:
    """V2."""
    return "v2"
