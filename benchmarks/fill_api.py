"""Fill the database of the API's benchmark; ``api.py`` runs this in the server's own environment.

The rows are as a busy site has them: portfolios of several groups with their OED files, models of several suppliers,
and V2 analyses in all states, each with the steps of its latest run. The files of portfolios lie in storage; those of
analyses are rows only, for nothing that is measured opens them.

    python benchmarks/fill_api.py --portfolios 10000 --analyses 10000 --password SECRET
"""

import argparse
import itertools
import random
import uuid
from collections.abc import Sequence
from typing import Any, Final

import django
from django.utils import timezone

django.setup()

from django.contrib.auth.models import Group, User  # noqa: E402 - Django must be set up first
from django.db import connection, transaction  # noqa: E402

from qanat.contract.statuses import AnalysisStatus, Phase, RunKind, RunMode, RunState, StepState  # noqa: E402
from qanat.server.analyses.models import INPUT_FIELDS, Analysis  # noqa: E402
from qanat.server.data_files.models import DataFile  # noqa: E402
from qanat.server.files.models import StoredFile  # noqa: E402
from qanat.server.files.storage import storage  # noqa: E402
from qanat.server.portfolios.models import OED_FILES, Portfolio  # noqa: E402
from qanat.server.risk_models.models import RiskModel  # noqa: E402
from qanat.server.runs.models import Run, Step  # noqa: E402

USER: Final = "analyst"
"""A member of all groups, and neither staff nor superuser: the rules of groups are part of what is measured."""
GROUPS: Final = 5
MODELS: Final = 10
DATA_FILES: Final = 20
CHUNKS: Final = 4
BATCH: Final = 2000
LOCATIONS: Final = b"PortNumber,AccNumber,LocNumber,CountryCode,BuildingTIV\n" + b"1,A1,L1,US,250000\n" * 100
ENDED: Final = (
    AnalysisStatus.READY,
    AnalysisStatus.RUN_COMPLETED,
    AnalysisStatus.RUN_COMPLETED,
    AnalysisStatus.RUN_COMPLETED,
    AnalysisStatus.RUN_ERROR,
)
STEPS: Final = (
    ("input-generation", "prepare", 1),
    ("input-generation", "lookup", CHUNKS),
    ("input-generation", "collect", 1),
    ("losses", "prepare", 1),
    ("losses", "losses", CHUNKS),
    ("losses", "output", 1),
)


def files_of(owners: int, *, suffix: str, kind: str, creator: User, objects: bool) -> list[StoredFile]:
    """Make a file for each of so many owners; with their objects in storage where ``objects``."""
    rows = [
        StoredFile(
            key=f"{uuid.uuid4().hex}{suffix}",
            filename=f"file{number}{suffix}",
            content_type=kind,
            size=len(LOCATIONS),
            creator=creator,
        )
        for number in range(owners)
    ]
    if objects:
        for row in rows:
            storage().write(row.key, [LOCATIONS])
    return StoredFile.objects.bulk_create(rows, batch_size=BATCH)


def belonging(rows: Sequence[Any], groups: Sequence[Group]) -> None:
    """Give the rows to the groups in turn; every tenth to two."""
    table = type(rows[0]).groups.through
    column = f"{type(rows[0])._meta.model_name}_id"  # noqa: SLF001 - Django's documented name
    pairs = [
        (row.pk, groups[(number + further) % len(groups)].pk)
        for number, row in enumerate(rows)
        for further in range(2 if number % 10 == 0 else 1)
    ]
    table.objects.bulk_create([table(**{column: row, "group_id": group}) for row, group in pairs], batch_size=BATCH)


def portfolios(count: int, *, creator: User) -> list[Portfolio]:
    """Make portfolios: all have locations and accounts, every fourth reinsurance."""
    rows = [Portfolio(name=f"Portfolio {number}", creator=creator) for number in range(count)]
    for field in OED_FILES:
        owners = rows if field in {"location_file", "accounts_file"} else rows[::4]
        # As many objects as are listed would take the benchmark longer than all it measures.
        found = files_of(len(owners), suffix=".csv", kind="text/csv", creator=creator, objects=field == "location_file")
        for row, file in zip(owners, found, strict=True):
            setattr(row, field, file)
    return Portfolio.objects.bulk_create(rows, batch_size=BATCH)


def models(*, creator: User) -> list[RiskModel]:
    """Make V2 models of three suppliers."""
    return RiskModel.objects.bulk_create(
        RiskModel(
            supplier_id=f"Supplier{number % 3}",
            model_id=f"Model{number}",
            version_id="1.0",
            run_mode=RunMode.V2,
            creator=creator,
        )
        for number in range(MODELS)
    )


def analyses(
    count: int, *, owners: Sequence[Portfolio], of: Sequence[RiskModel], creator: User, chance: random.Random
) -> list[Analysis]:
    """Make analyses: every tenth is new, the others have run."""
    now = timezone.now()
    rows = [
        Analysis(
            name=f"Analysis {number}",
            portfolio=owners[number % len(owners)],
            model=of[number % len(of)],
            run_mode=RunMode.V2,
            status=chance.choice(ENDED) if number % 10 else AnalysisStatus.NEW,
            creator=creator,
            task_started=now,
            task_finished=now,
            lookup_chunks=CHUNKS,
            analysis_chunks=CHUNKS,
        )
        for number in range(count)
    ]
    ran = [row for row in rows if row.status != AnalysisStatus.NEW]
    for field, owning, suffix, kind in (
        ("settings_file", rows, ".json", "application/json"),
        *((field, ran, ".csv", "text/csv") for field in INPUT_FIELDS[:-1]),
        (
            "output_file",
            [row for row in ran if row.status == AnalysisStatus.RUN_COMPLETED],
            ".tar.gz",
            "application/gzip",
        ),
        ("run_log_file", [row for row in ran if row.status != AnalysisStatus.READY], ".tar.gz", "application/gzip"),
    ):
        found = files_of(len(owning), suffix=suffix, kind=kind, creator=creator, objects=False)
        for row, file in zip(owning, found, strict=True):
            setattr(row, field, file)
    return Analysis.objects.bulk_create(rows, batch_size=BATCH)


def steps(rows: Sequence[Analysis]) -> None:
    """Give each analysis that has run a run with its steps; where it failed, the last ones did."""
    now = timezone.now()
    ran = [row for row in rows if row.status != AnalysisStatus.NEW]
    runs = Run.objects.bulk_create(
        (
            Run(
                analysis_id=row.pk,
                kind=RunKind.BOTH,
                mode=RunMode.V2,
                queue="supplier-model-v2",
                state=RunState.FAILED if row.status == AnalysisStatus.RUN_ERROR else RunState.SUCCEEDED,
                created=now,
            )
            for row in ran
        ),
        batch_size=BATCH,
    )

    def of(run: Run) -> list[Step]:
        failed = run.state == RunState.FAILED
        names = [(phase, name, index, count) for phase, name, count in STEPS for index in range(count)]
        return [
            Step(
                run=run,
                position=position,
                slug=f"{phase}-{name}-{index}",
                name=f"{name} {index}",
                task=name,
                phase=Phase.LOSSES if phase == "losses" else Phase.INPUTS,
                queue=run.queue,
                index=index,
                count=count,
                state=StepState.FAILED if failed and position == len(names) - 1 else StepState.SUCCEEDED,
                celery_id=str(uuid.uuid4()),
                pending_at=now,
            )
            for position, (phase, name, index, count) in enumerate(names)
        ]

    for start in range(0, len(runs), BATCH):
        made = itertools.chain.from_iterable(of(run) for run in runs[start : start + BATCH])
        Step.objects.bulk_create(made, batch_size=BATCH)


def fill(*, portfolio_count: int, analysis_count: int, password: str) -> None:
    """Fill the database."""
    chance = random.Random(1)  # noqa: S311 - states, not secrets
    with transaction.atomic():
        groups = [Group.objects.create(name=f"group{number}") for number in range(GROUPS)]
        creator = User.objects.create_user(USER, password=password)
        creator.groups.set(groups)
        owners = portfolios(portfolio_count, creator=creator)
        of = models(creator=creator)
        contents = files_of(DATA_FILES, suffix=".csv", kind="text/csv", creator=creator, objects=True)
        data_files = DataFile.objects.bulk_create(
            DataFile(file_description="Data", file=file, creator=creator) for file in contents
        )
        for rows in (owners, of, data_files):
            belonging(rows, groups)
        made = analyses(analysis_count, owners=owners, of=of, creator=creator, chance=chance)
        table = Analysis.complex_model_data_files.through
        table.objects.bulk_create(
            [
                table(analysis_id=row.pk, datafile_id=data_files[number % len(data_files)].pk)
                for number, row in enumerate(made)
                if number % 5 == 0
            ],
            batch_size=BATCH,
        )
        steps(made)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def main() -> None:
    """Read the options and fill."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--portfolios", type=int, required=True)
    parser.add_argument("--analyses", type=int, required=True)
    parser.add_argument("--password", required=True)
    given = parser.parse_args()
    fill(portfolio_count=given.portfolios, analysis_count=given.analyses, password=given.password)


if __name__ == "__main__":
    main()
