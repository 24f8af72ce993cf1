"""PiWind through the HTTP API gives the losses its authors expect, byte for byte, however it is cut into chunks."""

from pathlib import Path

import pytest

from qanat.cli.client import Client
from qanat.cli.run import Wish, execute

pytestmark = [
    pytest.mark.piwind,
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.xdist_group("platform"),
]
CONTROL = ("SourceLocOEDPiWind10", "SourceAccOEDPiWind", "SourceReinsInfoOEDPiWind", "SourceReinsScopeOEDPiWind")
CASES = {
    "control_set": ("RI_analysis_settings.json", CONTROL),
    "case_0": ("GUL_analysis_settings.json", CONTROL[:1]),
    "case_1": ("FM_analysis_settings.json", CONTROL[:2]),
}
EVENTS = 1447
"""Of PiWind's probabilistic event set."""
FIELDS = ("location_file", "accounts_file", "reinsurance_info_file", "reinsurance_scope_file")


def named(value: object) -> str:
    """Return how a case or a number of chunks is shown."""
    return "V1" if value is None else f"V2x{value}" if isinstance(value, int) else str(value)


@pytest.mark.parametrize(
    ("case", "chunks"),
    [
        ("case_0", None),
        ("case_0", 2),
        ("case_1", None),
        ("case_1", 2),
        ("control_set", None),
        ("control_set", 1),
        ("control_set", 2),
        ("control_set", 4),
        ("control_set", 7),
    ],
    ids=named,
)
def test_losses_are_those_expected(client: Client, piwind: Path, tmp_path: Path, case: str, chunks: int | None) -> None:
    run_and_compare(client, piwind, tmp_path, case=case, chunks=chunks)


def run_and_compare(client: Client, piwind: Path, tmp_path: Path, *, case: str, chunks: int | None) -> int:
    """Run a case of PiWind's, in V1 without chunks; compare its tables with those expected; return the analysis."""
    settings, files = CASES[case]
    given = dict(zip(FIELDS, (piwind / "inputs" / f"{name}.csv" for name in files), strict=False))

    outcome = execute(
        client,
        Wish(
            model="OasisLMF/PiWind",
            files=given,
            settings=piwind / "settings" / settings,
            output=tmp_path,
            lookup_chunks=chunks,
            loss_chunks=chunks,
            v1=chunks is None,
        ),
        quiet=True,
    )

    expected = sorted((piwind / "expected" / case / "output").glob("*.csv"))
    assert expected
    for table in expected:
        assert (tmp_path / "output" / table.name).read_bytes() == table.read_bytes(), table.name
    analysis = client.get(f"analyses/{outcome.analysis_id}/")
    assert analysis["num_events_complete"] == analysis["num_events_total"] == EVENTS
    return outcome.analysis_id
