"""Alerts speak of metrics that there are, and each has its page; whoever is woken at night finds what stands there."""

import re
import shutil
import subprocess
from typing import Any, Final

import pytest
import yaml
from django.db import connection

from qanat.contract.statuses import FailureClass
from qanat.server.counting import counters
from qanat.server.probes import gauges
from tests.conftest import ROOT

FOLDER: Final = ROOT / "deploy" / "prometheus"
RULES: Final = FOLDER / "alerts.yaml"
RUNBOOK: Final = "docs/how-to/watch-over-it.md"
PAGE: Final = (ROOT / RUNBOOK).read_text()
OF_PROMETHEUS: Final = {"up": {"job", "instance"}}
SUFFIXES: Final = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}
METRIC: Final = re.compile(r"\b(up|qanat_\w+)\b(?:\{([^}]*)\})?")
LABEL: Final = re.compile(r"(\w+)\s*(?:=|!=|=~|!~)\s*\"")
GROUPING: Final = re.compile(r"\bby \(([^)]*)\)")


def alerts() -> list[dict[str, Any]]:
    """Return all alerts."""
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def exported() -> dict[str, set[str]]:
    """Return the labels of each metric that is exported, by its name as rules have it."""
    counted = {
        f"{metric.name}{suffix}": {*labels, *({"le"} if suffix == "_bucket" else ())}
        for metric, labels in counters.described()
        for suffix in SUFFIXES[metric.type]
    }
    return {gauge.name: set(gauge.labels) for gauge in gauges.ALL} | counted


def promtool(*arguments: str) -> str:
    """Return what Prometheus' own tool says, once it finds nothing wrong; skipped where it is not installed."""
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("promtool is not installed: apt-get install prometheus")
    done = subprocess.run([found, *arguments], cwd=FOLDER, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert["alert"])
def test_an_alert_speaks_of_metrics_and_labels_that_are_exported(alert: dict[str, Any]) -> None:
    known = exported() | OF_PROMETHEUS
    used = METRIC.findall(alert["expr"])
    groupings = {label.strip() for found in GROUPING.findall(alert["expr"]) for label in found.split(",")}

    assert used
    assert {name for name, _ in used} <= known.keys()
    for name, selector in used:
        assert {*LABEL.findall(selector), *groupings} <= known[name], name


def test_no_two_alerts_have_the_same_name() -> None:
    names = [alert["alert"] for alert in alerts()]

    assert len(names) == len(set(names)) > 0


def test_each_alert_has_its_place_in_the_runbook_and_nothing_else_has() -> None:
    headings = re.findall(r"^### (Qanat\w+)$", PAGE, flags=re.MULTILINE)

    assert sorted(headings) == sorted(alert["alert"] for alert in alerts())
    for alert in alerts():
        assert alert["annotations"]["runbook"] == f"{RUNBOOK}#{alert['alert'].lower()}"


def test_the_runbook_sends_nobody_to_an_alert_that_is_not_there() -> None:
    named = set(re.findall(r"\bQanat[A-Z]\w+", PAGE))

    assert named == {alert["alert"] for alert in alerts()}


def test_the_runbook_names_all_reasons_of_failures_and_only_metrics_that_are_exported() -> None:
    rows = set(re.findall(r"^\| `([\w-]+)` \|", PAGE, flags=re.MULTILINE))
    metrics = set(re.findall(r"\bqanat_\w+", PAGE))

    assert rows == {reason.value for reason in FailureClass}
    assert metrics <= exported().keys()


@pytest.mark.django_db
def test_the_queries_of_the_runbook_can_be_asked() -> None:
    queries = re.findall(r"```sql\n(.*?)```", PAGE, flags=re.DOTALL)

    with connection.cursor() as cursor:
        for query in queries:
            cursor.execute(query)
    assert len(queries) == 3


def test_prometheus_takes_the_rules() -> None:
    assert f"{len(alerts())} rules found" in promtool("check", "rules", RULES.name)


def test_alerts_fire_when_they_should() -> None:
    assert "SUCCESS" in promtool("test", "rules", "alerts.test.yaml")
