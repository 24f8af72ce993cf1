"""The worker monitor's sub-tasks: the results of a phase become files of the analysis."""

import logging
from datetime import datetime, timedelta

from qanat.contract.statuses import Phase, RunMode
from qanat.domain.run_plan import TRACEBACK
from qanat.server.runs import artefacts
from qanat.server.runs.claims import StepRefused, attempt_prefix, claim
from qanat.server.runs.commit import commit
from qanat.server.runs.log_context import about_step

logger = logging.getLogger(__name__)


@about_step
def record(*, step_id: int, fence: int, recorder: str, lease: timedelta, now: datetime) -> bool:
    """Do a server-side step; return False where it was done or taken already.

    One that breaks off, because its process or the database is gone, is somebody else's after ``lease``.

    In V2 the traceback file of the phase is made here, of the logs of its sub-tasks; in V1 the worker has sent it.
    """
    try:
        claimed = claim(step_id=step_id, fence=fence, worker=recorder, lease=lease, now=now)
        step = claimed.step
        phase = Phase(step.phase)
        outputs = {}
        if step.run.mode == RunMode.V2:
            outputs[TRACEBACK[phase]] = artefacts.write_phase_log(step.run, phase=phase, prefix=attempt_prefix(step))
        commit(step=step, outputs=outputs, facts={}, resources=None, now=now)
    except StepRefused as refusal:
        logger.debug("Not recorded: %s", refusal)
        return False
    return True
