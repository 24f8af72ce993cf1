"""A site may keep tracebacks and logs for staff."""

from typing import Any

import pytest
from pytest_django import Settings

from qanat.server.analyses.models import Analysis
from tests.api.caller import FORBIDDEN, OK, Caller
from tests.factories import make_analysis, make_file, make_user

LOGS = ("input_generation_traceback_file", "run_traceback_file", "run_log_file")


@pytest.fixture
def failed(settings: Settings, db: None) -> Analysis:
    """A failed analysis on such a site."""
    settings.QANAT = settings.QANAT.model_copy(update={"restrict_system_logs": True})
    files: dict[str, Any] = {field: make_file() for field in ("output_file", *LOGS)}
    return make_analysis(status="RUN_ERROR", **files)


@pytest.mark.parametrize("field", LOGS)
def test_a_log_is_for_staff(api: Caller, failed: Analysis, field: str) -> None:
    staff = Caller(make_user(staff=True), "v1")

    assert staff.get(f"analyses/{failed.pk}/{field}/").code == OK
    assert api.get(f"analyses/{failed.pk}/{field}/").code == FORBIDDEN
    assert api.delete(f"analyses/{failed.pk}/{field}/").code == FORBIDDEN


def test_results_are_for_everybody(api: Caller, failed: Analysis) -> None:
    assert api.get(f"analyses/{failed.pk}/output_file/").code == OK


@pytest.mark.parametrize("field", LOGS)
def test_v2_keeps_nothing_back(failed: Analysis, field: str) -> None:
    assert Caller(make_user(), "v2").get(f"analyses/{failed.pk}/{field}/").code == OK
