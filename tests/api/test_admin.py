"""The admin site: for staff; it shows all rows, changes no fact of the engine, and deletes as the API does."""

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import DjangoCaptureOnCommitCallbacks

from qanat.server.analyses.models import Analysis
from qanat.server.data_files.models import DataFile
from qanat.server.files.models import StoredFile
from qanat.server.files.storage import storage
from qanat.server.portfolios.models import Portfolio
from qanat.server.risk_models.models import RiskModel, SettingTemplate
from tests.api.fuzz.world import World, make_world
from tests.factories import make_complete_analysis, make_data_file, make_file, make_model, make_portfolio, make_user

OURS = [model for model in admin.site._registry if model.__module__.startswith("qanat.")]


@pytest.fixture
def superuser(db: None) -> User:
    """Somebody who may do everything."""
    return make_user(staff=True, superuser=True)


@pytest.fixture
def site(superuser: User) -> Client:
    """The site for them."""
    browser = Client()
    browser.force_login(superuser)
    return browser


@pytest.fixture
def world(db: None) -> World:
    """One row of each kind."""
    return make_world("v2")


def page(model: type, row: object = None, action: str = "change") -> str:
    options = model._meta  # type: ignore[attr-defined]
    base = f"/api/admin/{options.app_label}/{options.model_name}/"
    return base if row is None else f"{base}{row.pk}/{action}/"  # type: ignore[attr-defined]


def delete(site: Client, row: Portfolio | Analysis | RiskModel | DataFile | SettingTemplate) -> None:
    answer = site.post(page(type(row), row, "delete"), {"post": "yes"})
    assert answer.status_code == 302


def test_the_site_shows_what_it_should() -> None:
    shown = {model.__name__ for model in OURS}

    assert shown == {
        "Portfolio",
        "Analysis",
        "RiskModel",
        "SettingTemplate",
        "DataFile",
        "StoredFile",
        "Run",
        "Step",
    }


@pytest.mark.parametrize("model", OURS, ids=lambda model: model.__name__)
def test_every_list_and_every_row_can_be_looked_at(site: Client, world: World, model: type) -> None:
    row = model.objects.first()  # type: ignore[attr-defined]

    assert site.get(page(model)).status_code == 200
    assert site.get(f"{page(model)}?q=a").status_code == 200
    assert site.get(page(model, row)).status_code == 200


@pytest.mark.parametrize("model", OURS, ids=lambda model: model.__name__)
def test_nothing_is_made_here(site: Client, model: type) -> None:
    assert site.get(f"{page(model)}add/").status_code == 403


def test_the_site_is_for_staff(db: None) -> None:
    browser = Client()
    browser.force_login(make_user())

    answer = browser.get("/api/admin/")

    assert answer.status_code == 302
    assert answer["Location"].startswith("/api/admin/login/")


def test_staff_without_permissions_see_no_rows(world: World) -> None:
    browser = Client()
    browser.force_login(make_user(staff=True))

    assert browser.get(page(Portfolio)).status_code == 403


def test_a_status_cannot_be_changed_here(site: Client) -> None:
    analysis = make_complete_analysis()

    site.post(page(Analysis, analysis), {"name": "New name", "priority": "5", "status": "RUN_COMPLETED"})

    analysis.refresh_from_db()
    assert (analysis.name, analysis.priority, analysis.status) == ("New name", 5, "READY")


def test_a_deleted_portfolio_takes_its_analyses_and_all_files_along(
    site: Client, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    portfolio = make_portfolio()
    analysis = make_complete_analysis(portfolio=portfolio)
    keys = [portfolio.location_file.key, analysis.input_file.key, analysis.settings_file.key]

    with django_capture_on_commit_callbacks(execute=True):
        delete(site, portfolio)

    assert not Analysis.objects.exists()
    assert not StoredFile.objects.exists()
    assert not any(storage().exists(key) for key in keys)


def test_a_model_is_deleted_for_good_here_with_analyses_and_templates(
    site: Client, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    model = make_model(settings_file=make_file())
    SettingTemplate.objects.create(model=model, name="T", file=make_file())
    make_complete_analysis(model=model)

    with django_capture_on_commit_callbacks(execute=True):
        delete(site, model)

    assert [RiskModel.objects.count(), SettingTemplate.objects.count(), Analysis.objects.count()] == [0, 0, 0]
    assert [file.filename for file in StoredFile.objects.all()] == ["location.csv"]  # the portfolio stays


def test_models_are_disabled_activated_and_deleted_in_bulk(site: Client) -> None:
    rows = [make_model(), make_model()]

    def act(action: str) -> set[bool]:
        site.post(page(RiskModel), {"action": action, "_selected_action": [row.pk for row in rows], "post": "yes"})
        return set(RiskModel.objects.values_list("deleted", flat=True))

    assert act("disable") == {True}
    assert act("activate") == {False}
    assert act("delete_selected") == set()


@pytest.mark.parametrize("kind", ["data_file", "template"])
def test_what_is_deleted_takes_its_content_along(
    site: Client, kind: str, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    file = make_file()
    row = (
        make_data_file(file=file)
        if kind == "data_file"
        else SettingTemplate.objects.create(model=make_model(), name="T", file=file)
    )

    with django_capture_on_commit_callbacks(execute=True):
        delete(site, row)

    assert (StoredFile.objects.count(), storage().exists(file.key)) == (0, False)
