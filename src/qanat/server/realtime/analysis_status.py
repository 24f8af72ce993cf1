"""``/ws/analysis-status/``: what kernels say of their progress (wire contract, section 6.3).

Whoever shows the token of a step speaks for that step, as long as it is running under it. Kernels in stock images have
nothing to show: they are believed about analyses whose losses are running, and what they say is shown, no more.
"""

import asyncio
from typing import Final

from qanat.contract.worker_protocol import STEP_TOKEN_SCHEME
from qanat.server.api.workers.tokens import ClaimedStep, NotOurs, claimed_step
from qanat.server.realtime import messages
from qanat.server.realtime.database import Database
from qanat.server.realtime.sockets import NOT_ALLOWED, NOT_JSON, NotText, Socket
from qanat.server.runs import clock, reports
from qanat.server.runs.claims import StepRefused, held
from qanat.server.runs.models import analysis

IDLE_SECONDS: Final = 60.0
"""A connection on which nothing is said for so long is closed: kernels make one for each message."""


async def serve(socket: Socket, *, database: Database) -> None:
    """Take in what a kernel says; nothing is answered.

    Raises:
        Gone: it has hung up.
    """
    scheme, _, token = socket.headers.get("authorization", "").partition(" ")
    claimed = None
    if scheme == STEP_TOKEN_SCHEME:
        try:
            claimed = claimed_step(token)
            await database.ask(held, step_id=claimed.step_id, fence=claimed.fence)
        except (NotOurs, StepRefused):
            await socket.refuse()
            return
    await socket.accept()
    try:
        while True:
            text = await asyncio.wait_for(socket.hear(), IDLE_SECONDS)
            await database.ask(_report, claimed, messages.progress_of(text))
    except TimeoutError:
        await socket.close(NOT_ALLOWED, "Nothing was said.")
    except (NotText, messages.NotJson):
        await socket.close(NOT_JSON, "Messages must be JSON.")
    except (messages.NotUnderstood, StepRefused, reports.NotRunning) as refused:
        await socket.close(NOT_ALLOWED, str(refused))


def _report(claimed: ClaimedStep | None, said: messages.Progress) -> None:
    if claimed is not None:
        reports.of_step(step_id=claimed.step_id, fence=claimed.fence, total=said.total, done=said.done, now=clock.now())
        return
    if said.analysis_id is None:
        sentence = "The message does not say which analysis it is about: 'analysis_pk' is missing."
        raise messages.NotUnderstood(sentence)
    reports.of_owner(owner=analysis(said.analysis_id), total=said.total, done=said.done, now=clock.now())
