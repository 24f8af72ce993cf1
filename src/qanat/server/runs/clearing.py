"""What runs have left in storage goes some time after their end: logs of steps, and what a next run could go on from.

In two goes, a day apart. First the rows forget it: nothing shows it, and no run that is planned from now on takes it
over. Then it is removed, unless a run that was being planned just then has taken it over, and is under way.
"""

from datetime import datetime
from typing import Final

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef

from qanat.server.files.operations import note
from qanat.server.files.settling import settle
from qanat.server.runs import artefacts
from qanat.server.runs.claims import run_of_prefix, run_prefix
from qanat.server.runs.models import ACTIVE_RUN_STATES, Run
from qanat.server.runs.steps import lock_run

AT_ONCE: Final = 50
"""Runs that are forgotten in one go."""


def forget_old(*, now: datetime) -> int:
    """Have the rows of runs that ended long ago forget what they have left; return how many there were."""
    active = Run.objects.filter(state__in=ACTIVE_RUN_STATES)
    old = (
        Run.objects.filter(cleared=False, finished__lt=now - settings.QANAT.keep_run_files)
        .exclude(Exists(active.filter(analysis_id=OuterRef("analysis_id"))))
        .exclude(Exists(active.filter(portfolio_id=OuterRef("portfolio_id"), kind=OuterRef("kind"))))
        .order_by("finished")
    )
    return sum(_forget(run_id, now=now) for run_id in list(old.values_list("pk", flat=True)[:AT_ONCE]))


def _forget(run_id: int, *, now: datetime) -> bool:
    with transaction.atomic():
        run = lock_run(run_id)
        if _is_gone_on_with(run):
            return False
        run.steps.update(digest="", log_parts=[], output_log="", error_log="", retry_log="")
        run.cleared = True
        run.save(update_fields=["cleared"])
        note(run_prefix(run.pk), now=now)
    return True


def remove_unsettled(*, now: datetime) -> int:
    """Remove what nothing has needed for a day; return how many notes of such things are settled."""
    return settle(now=now, folder=_remove_left, in_use=_given_to_runs)


def _remove_left(key: str) -> bool | None:
    """Remove what a run has left; return False while a later one needs some of it, None where the key is no run's."""
    run_id = run_of_prefix(key)
    if run_id is None:
        return None
    run = Run.objects.filter(pk=run_id).first()
    if run is not None and _is_gone_on_with(run):
        return False
    return artefacts.remove_left(run_id, line=None if run is None else run.line)


def _is_gone_on_with(run: Run) -> bool:
    return run.line.filter(state__in=ACTIVE_RUN_STATES).exists()


def _given_to_runs() -> set[str]:
    """Return the keys of all that was given to runs which are under way."""
    inputs = Run.objects.filter(state__in=ACTIVE_RUN_STATES).values_list("inputs", flat=True)
    return {ref["key"] for given in inputs for ref in given.values()}
