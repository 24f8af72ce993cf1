"""Hosts on one network, on this machine: network namespaces on a bridge, whose links can be taken down.

What is sent over a link that is down vanishes, in both directions, and no end is told: so it is when a switch fails, a
cable is pulled, or a virtual machine is frozen.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Final

SUBNETS: Final = [f"198.18.{number}" for number in range(256)]
"""Of the addresses that are kept for tests of networks (RFC 2544)."""


def why_not() -> str:
    """Return why there can be no such network here; empty: there can."""
    if os.getuid() != 0:
        return "network namespaces are for root"
    if shutil.which("ip") is None:
        return "`ip` is not installed: apt-get install iproute2"
    probe = f"qanat-probe-{os.getpid()}"
    for command in (["netns", "add", probe], ["link", "add", _short("p"), "type", "bridge"]):
        done = _ip(*command, check=False)
        if done.returncode:
            _ip("netns", "delete", probe, check=False)
            return f"`ip {' '.join(command)}` is not permitted here: {done.stderr.strip()}"
    _ip("link", "delete", _short("p"))
    _ip("netns", "delete", probe)
    return ""


@dataclass(frozen=True, kw_only=True)
class Host:
    """A network namespace with one link to the bridge."""

    name: str
    address: str
    port: str
    """The bridge's end of its link."""

    @property
    def within(self) -> Sequence[str]:
        """What to put before a command that shall run there."""
        return ["ip", "netns", "exec", self.name]

    def cut_off(self) -> None:
        """Take the link down."""
        _ip("link", "set", self.port, "down")

    def bring_back(self) -> None:
        """Bring the link up."""
        _ip("link", "set", self.port, "up")

    def pids(self) -> set[int]:
        """Return who runs there."""
        return {int(pid) for pid in _ip("netns", "pids", self.name).stdout.split()}


@dataclass(frozen=True, kw_only=True)
class Network:
    """A bridge, on which this process' own servers can listen, and the hosts on it."""

    address: str
    subnet: str
    hosts: Sequence[Host]


@contextmanager
def network(*, hosts: int) -> Iterator[Network]:
    """Yield a network; at the end it is gone."""
    taken = _ip("-oneline", "address").stdout
    prefix = next(each for each in SUBNETS if f" {each}." not in taken)
    subnet, address, bridge = f"{prefix}.0/24", f"{prefix}.1", _short("b")
    with ExitStack() as undo:
        _ip("link", "add", bridge, "type", "bridge")
        undo.callback(_ip, "link", "delete", bridge)
        _ip("address", "add", f"{address}/24", "dev", bridge)
        _ip("link", "set", bridge, "up")
        made = []
        for number in range(hosts):
            host = Host(name=f"{bridge}-{number}", address=f"{prefix}.{10 + number}", port=_short(str(number)))
            _ip("netns", "add", host.name)
            undo.callback(_ip, "netns", "delete", host.name)
            _ip("link", "add", host.port, "type", "veth", "peer", "name", "eth0", "netns", host.name)
            _ip("link", "set", host.port, "master", bridge, "up")
            _ip("-n", host.name, "address", "add", f"{host.address}/24", "dev", "eth0")
            for link in ("lo", "eth0"):
                _ip("-n", host.name, "link", "set", link, "up")
            made.append(host)
        yield Network(address=address, subnet=subnet, hosts=made)


def _short(what: str) -> str:
    """Return a name for a link, which may have fifteen letters."""
    return f"qanat{what}{os.getpid()}"


def _ip(*arguments: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
    command = [shutil.which("ip") or "ip", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=check)
