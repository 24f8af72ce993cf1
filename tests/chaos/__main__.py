"""Does every run end, once and with the right numbers, whatever happens to the platform?

The platform as a site runs it: a process a role, two of those that may be many, two workers of the demonstration model,
PostgreSQL and RabbitMQ. Analyses of every shape and priority run, some are cancelled, and every few seconds something
is killed, stopped, cut off, filled up or said twice. Then the faults stop, and it is looked at what came of it.

    python -m tests.chaos --analyses 300 --interval 3 --seed 1
    python -m tests.chaos --faults "kill worker" "broker lost"

Exit code 1: a run was lost, stuck, done twice or wrong, or what a fault had cost was taken up again too late. Where
something is wrong, all logs and tables are kept in the folder that is named at the end.
"""

import argparse
import signal
import sys
from typing import Final

from tests.chaos.session import Plan, run

MARGIN_SECONDS: Final = 10.0


def main() -> int:
    """Read the options and do it; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--analyses", type=int, default=300)
    parser.add_argument("--interval", type=float, default=3.0, help="seconds between two faults, on average")
    parser.add_argument("--seed", type=int, default=1, help="decides what is run and what is done to whom")
    parser.add_argument("--lease", type=int, default=10, help="seconds that a worker holds a step for")
    parser.add_argument("--faults", nargs="+", default=[], metavar="KIND", help="only these kinds")
    parser.add_argument("--keep", action="store_true", help="keep the folder whatever came of it")
    options = parser.parse_args()
    plan = Plan(
        analyses=options.analyses,
        interval=options.interval,
        seed=options.seed,
        lease_seconds=options.lease,
        recovers_within=options.lease + MARGIN_SECONDS,
        kinds=tuple(options.faults),
    )
    # Servers and file systems are not to be left behind, however this ends.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    verdict = run(plan, tell=lambda line: print(line, flush=True), keep=options.keep)
    return 0 if verdict.good else 1


if __name__ == "__main__":
    sys.exit(main())
