"""The demonstration model's keys lookup, with bad manners: what it does, a portfolio's LocUserDef1 says.

``write`` puts this file into a model.
"""

import json
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

from oasislmf.lookup.builtin import Lookup

HANG: Final = "hang"
FORK: Final = "fork"
FLOOD: Final = "flood"
HOARD: Final = "hoard"
WAYS: Final = (HANG, FORK, FLOOD, HOARD)
MORE_BYTES: Final = 2**28
FLOOD_LINES: Final = 100_000


class FloridaWindKeysLookup(Lookup):  # type: ignore[misc]
    """Looks keys up, if it is not told otherwise."""

    def process_locations(self, locations: Any) -> Any:  # noqa: ANN401 - the kernel's
        """Misbehave where the locations say so."""
        found = {str(name).lower(): column for name, column in locations.items()}
        way = str(found["locuserdef1"].iloc[0]) if "locuserdef1" in found else ""
        if way == HANG:
            time.sleep(10**6)
        elif way == FORK:
            # It leaves its parent's session, and outlives it.
            nap = [sys.executable, "-c", "import time; time.sleep(10**6)"]
            subprocess.Popen(nap, start_new_session=True)
        elif way == FLOOD:
            for number in range(FLOOD_LINES):
                print(f"{number:06d} {'water ' * 20}")
            message = "the log is full, and so am I"
            raise RuntimeError(message)
        elif way == HOARD:
            used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (used + MORE_BYTES, used + MORE_BYTES))
            hoard = []
            while True:
                hoard.append(bytearray(2**20))
        return super().process_locations(locations)


def write(keys_data: Path) -> None:
    """Have the lookup of a model's folder of keys data misbehave."""
    shutil.copy(__file__, keys_data / "lookup.py")
    configuration = keys_data / "lookup_config.json"
    document = {**json.loads(configuration.read_text()), "lookup_module_path": "lookup.py"}
    configuration.write_text(json.dumps(document))
