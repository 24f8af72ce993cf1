"""Which hosts are the machine itself."""

import pytest

from qanat.domain.hosts import is_loopback


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8000", "127.0.0.1", "127.9.9.9:1", "[::1]", "[::1]:8000", "LOCALHOST"]
)
def test_this_machine(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["", "example.com", "localhost.example.com", "10.0.0.1", "[2001:db8::1]:80", "1270.0.1"]
)
def test_other_machines(host: str) -> None:
    assert not is_loopback(host)
