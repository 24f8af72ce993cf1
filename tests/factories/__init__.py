"""Rows with boring defaults: a test names what it is about and nothing else."""

from collections.abc import Iterable
from itertools import count
from typing import Any

from django.contrib.auth.models import Group, User

from qanat.contract.statuses import AnalysisStatus
from qanat.server.analyses.models import Analysis
from qanat.server.data_files.models import DataFile
from qanat.server.files.models import StoredFile
from qanat.server.files.operations import store_content
from qanat.server.portfolios.models import Portfolio
from qanat.server.risk_models.models import RiskModel
from tests.documents import LOCATIONS

PASSWORD = "correct horse battery staple"
_numbers = count(1)


def make_group(name: str | None = None) -> Group:
    """Return a group."""
    return Group.objects.create(name=name or f"group-{next(_numbers)}")


def make_user(
    *groups: Group, password: str | None = None, staff: bool = False, superuser: bool = False, active: bool = True
) -> User:
    """Return a user who is a member of ``groups``; without a password, for hashing one takes its time."""
    user = User.objects.create_user(
        f"user-{next(_numbers)}", password=password, is_staff=staff, is_superuser=superuser, is_active=active
    )
    user.groups.set(groups)
    return user


def make_file(
    content: bytes = LOCATIONS,
    *,
    filename: str = "location.csv",
    content_type: str = "text/csv",
    groups: Iterable[Group] = (),
) -> StoredFile:
    """Return a file that is in storage."""
    return store_content(
        content=content, filename=filename, content_type=content_type, creator=None, groups=list(groups)
    )


def make_portfolio(*groups: Group, creator: User | None = None, exposed: bool = True, **fields: Any) -> Portfolio:  # noqa: ANN401 - columns
    """Return a portfolio with two locations, or with no files where it is not ``exposed``."""
    if exposed:
        fields.setdefault("location_file", make_file())
    row = Portfolio.objects.create(**{"name": "Portfolio", "creator": creator, **fields})
    row.groups.set(groups)
    return row


def make_model(*groups: Group, creator: User | None = None, **fields: Any) -> RiskModel:  # noqa: ANN401 - columns
    """Return a model of run mode V1, with an identity of its own."""
    defaults = {"supplier_id": "OasisLMF", "model_id": f"Model{next(_numbers)}", "version_id": "1", "run_mode": "V1"}
    row = RiskModel.objects.create(**{**defaults, "creator": creator, **fields})
    row.groups.set(groups)
    return row


def make_data_file(*groups: Group, creator: User | None = None, **fields: Any) -> DataFile:  # noqa: ANN401 - columns
    """Return a data file without content."""
    row = DataFile.objects.create(**{"file_description": "Data", "creator": creator, **fields})
    row.groups.set(groups)
    return row


def make_analysis(
    *,
    status: AnalysisStatus | str = AnalysisStatus.NEW,
    portfolio: Portfolio | None = None,
    model: RiskModel | None = None,
    **fields: Any,  # noqa: ANN401 - columns
) -> Analysis:
    """Return an analysis of a portfolio and a model of run mode V1, in any status."""
    return Analysis.objects.create(
        **{
            "name": "Analysis",
            "portfolio": portfolio or make_portfolio(),
            "model": model or make_model(),
            "status": status,
            **fields,
        }
    )


def make_settings_file() -> StoredFile:
    """Return a file with analysis settings."""
    return make_file(b"{}", filename="analysis_settings.json", content_type="application/json")


def make_complete_analysis(*, portfolio: Portfolio | None = None, model: RiskModel | None = None) -> Analysis:
    """Return an analysis with a settings file and inputs, ready to run."""
    return make_analysis(
        status=AnalysisStatus.READY,
        portfolio=portfolio,
        model=model,
        settings_file=make_settings_file(),
        input_file=make_file(b"tar", filename="inputs.tar.gz", content_type="application/gzip"),
    )
