"""Memory is moved into huge pages where there are any, and stays what it was."""

import subprocess
import sys

import pytest

COLLAPSED = """
from pathlib import Path
from qanat.worker import cheap_forks

def huge_kilobytes():
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("AnonHugePages:"))

content = [bytes([number]) * 4000 for number in range(256)]
copies = [bytearray(piece) for piece in content for _ in range(40)]
before = huge_kilobytes()
cheap_forks.prepare(lasting=True)
assert all(copy == content[number // 40] for number, copy in enumerate(copies))
print(huge_kilobytes() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="huge pages are asked for on Linux only")
def test_memory_is_the_same_in_huge_pages() -> None:
    done = subprocess.run([sys.executable, "-c", COLLAPSED], capture_output=True, text=True, check=True)
    gained = int(done.stdout)
    if gained == 0:
        pytest.skip("this system has no huge pages to give")
    assert gained >= 10 * 2048
