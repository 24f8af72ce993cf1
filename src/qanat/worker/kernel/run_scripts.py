"""The kernel's run scripts hear of every process that they wait for, and say where one was killed.

**Every process.** A script waits for many pipelines and tools at once, and goes on by how the last of them ended. Of
the others the kernel asks the logs whether who began has finished; whoever was killed before it wrote a line is not
missed, nor is a ``tee`` between two tools, and the results lack a table, or some of the losses.

**Killed.** What fails in a script has it kill all that is left of it, itself included, so afterwards a model that has
failed looks like a process that was killed from outside: by a host that is short of memory, or by an operator. The
first to go says so, in a file beside the logs.

Both are texts of ``oasislmf.execution.bash`` (2.5), from which it writes its scripts.
"""

from pathlib import Path
from typing import Final

from oasislmf.execution import bash

LOST: Final = "lost_process"
"""In the folder of a script's logs, where a process of it was killed."""
SIGKILLED: Final = 137
SIGPIPED: Final = 141
"""How a writer ends whose reader has enough: nothing is lost."""
SAY: Final = f'[ -e "$LOG_DIR/killout.txt" ] || touch "$LOG_DIR/{LOST}"'
"""The other file is there once the script has begun to kill what is left: who dies then is no news."""
WAIT: Final = f"""
exec_wait(){{
    local pid status ended=0
    for pid in "$@"; do
        status=0
        wait "$pid" || status=$?
        if [ "$status" -eq {SIGKILLED} ]; then {SAY}; fi
        if [ "$ended" -eq 0 ] && [ "$status" -ne {SIGPIPED} ]; then ended=$status; fi
    done
    return "$ended"
}}"""
HANDLER: Final = "exit_handler(){\n   exit_code=$?\n"
"""How the function begins that is called where anything in a script fails, first in the part that fails."""
TELLING: Final = f"""exit_handler(){{
   exit_code=$? ended=" ${{PIPESTATUS[*]}} "
   if [[ "$ended" == *" {SIGKILLED} "* ]]; then {SAY}; fi
"""
"""The same, and it looks at each part of a pipeline: one that is killed has the next fail."""


def settle() -> None:
    """Have the scripts written so, from now on, in this process."""
    bash.WAIT_FUNC = WAIT
    bash.TRAP_FUNC = bash.TRAP_FUNC.replace(HANDLER, TELLING)


def lost_a_process(run_directory: Path) -> bool:
    """Say whether a process of the script that has failed in this folder was killed from outside."""
    return any((run_directory / "log").rglob(LOST))
