"""Templates of analysis settings: kept with a model, copied from an analysis, shown to who may see the model."""

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import DjangoCaptureOnCommitCallbacks

from qanat.server.files.models import StoredFile
from qanat.server.files.storage import storage
from qanat.server.risk_models.models import RiskModel, SettingTemplate
from tests.api.caller import BAD_REQUEST, FORBIDDEN, NO_CONTENT, NOT_FOUND, OK, Caller
from tests.documents import ANALYSIS_SETTINGS
from tests.factories import (
    make_analysis,
    make_complete_analysis,
    make_file,
    make_group,
    make_model,
    make_portfolio,
    make_user,
)


@pytest.fixture
def route(model: RiskModel) -> str:
    """Where the model's templates are."""
    return f"models/{model.pk}/setting_templates/"


@pytest.fixture
def template(model: RiskModel, user: User) -> SettingTemplate:
    """A template without settings."""
    return SettingTemplate.objects.create(model=model, name="Standard", creator=user)


def test_a_template_is_created_and_listed(api: Caller, route: str) -> None:
    made = api.post(route, {"name": "Standard", "description": "As we do it"})

    assert made.code == OK  # not 201, as clients expect
    assert made.body == {
        "id": made.body["id"],
        "name": "Standard",
        "description": "As we do it",
        "file_url": None,
    }
    assert api.get(route).body == [made.body]
    assert api.get(f"{route}{made.body['id']}/").body == made.body


def test_a_description_may_be_left_out_and_a_name_may_not(api: Caller, route: str) -> None:
    assert api.post(route, {"name": "Standard"}).body["description"] == ""
    refused = api.post(route, {})

    assert (refused.code, set(refused.body)) == (BAD_REQUEST, {"name"})


def test_a_new_template_copies_the_settings_of_an_analysis(api: Caller, route: str, model: RiskModel) -> None:
    analysis = make_analysis(model=model)
    api.post(f"analyses/{analysis.pk}/settings/", ANALYSIS_SETTINGS)

    made = api.post(route, {"name": "Copied", "analysis_id": analysis.pk}).body

    link = f"{route}{made['id']}/content/"
    assert made["file_url"].endswith(link)
    assert api.get(link).body == api.get(f"analyses/{analysis.pk}/settings/").body
    assert SettingTemplate.objects.get().file.key != analysis.__class__.objects.get().settings_file.key


def test_an_analysis_that_has_no_settings_cannot_be_copied(api: Caller, route: str) -> None:
    answer = api.post(route, {"name": "Copied", "analysis_id": make_analysis().pk})

    assert (answer.code, set(answer.body)) == (BAD_REQUEST, {"Detail"})
    assert "has no settings" in answer.body["Detail"][0]
    assert not SettingTemplate.objects.exists()


def test_an_analysis_that_is_not_to_be_seen_cannot_be_copied(api: Caller, route: str) -> None:
    foreign = make_complete_analysis(portfolio=make_portfolio(make_group()))

    answers = [api.post(route, {"name": "C", "analysis_id": pk}) for pk in (foreign.pk, 999)]

    assert [answer.code for answer in answers] == [BAD_REQUEST, BAD_REQUEST]
    assert all("no such analysis" in answer.body["Detail"][0] for answer in answers)


def test_a_template_is_changed(api: Caller, route: str, template: SettingTemplate) -> None:
    put = api.put(f"{route}{template.pk}/", {"name": "Other", "description": "D"})
    patch = api.patch(f"{route}{template.pk}/", {"description": "E"})

    assert (put.code, put.body["name"], put.body["description"]) == (OK, "Other", "D")
    assert (patch.code, patch.body["name"], patch.body["description"]) == (OK, "Other", "E")


def test_settings_come_back_as_they_were_given(api: Caller, route: str, template: SettingTemplate) -> None:
    content = f"{route}{template.pk}/content/"
    assert api.get(content).code == NOT_FOUND

    receipt = api.post(content, ANALYSIS_SETTINGS)

    assert (receipt.code, receipt.body["filename"]) == (OK, "analysis_settings.json")
    assert api.get(content).body.items() >= ANALYSIS_SETTINGS.items()
    deleted = api.delete(content)
    assert (deleted.code, deleted.content, api.get(content).code) == (OK, b"", NOT_FOUND)


def test_broken_settings_are_refused(api: Caller, route: str, template: SettingTemplate) -> None:
    answer = api.post(f"{route}{template.pk}/content/", {"gul_output": False})

    assert answer.code == BAD_REQUEST
    assert "no output" in answer.body
    assert api.get(f"{route}{template.pk}/content/").code == NOT_FOUND


def test_a_deleted_template_takes_its_settings_along(
    api: Caller,
    route: str,
    template: SettingTemplate,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    key = api.post(f"{route}{template.pk}/content/", ANALYSIS_SETTINGS).body["file"]

    with django_capture_on_commit_callbacks(execute=True):
        answer = api.delete(f"{route}{template.pk}/")

    assert answer.code == NO_CONTENT
    assert (api.get(route).body, storage().exists(key)) == ([], False)
    assert not StoredFile.objects.filter(key=key).exists()


def test_a_template_is_found_under_its_own_model_only(
    api: Caller, version: str, template: SettingTemplate, route: str
) -> None:
    other = make_model(run_mode=version.upper())

    assert api.get(f"models/{other.pk}/setting_templates/").body == []
    assert api.get(f"models/{other.pk}/setting_templates/{template.pk}/").code == NOT_FOUND
    assert api.delete(f"models/{other.pk}/setting_templates/{template.pk}/").code == NOT_FOUND
    assert api.get(f"{route}{template.pk}/").code == OK


@pytest.mark.parametrize("model_id", ["999", "one"])
def test_there_is_nothing_under_a_model_that_is_none(api: Caller, model_id: str) -> None:
    assert api.get(f"models/{model_id}/setting_templates/").code == NOT_FOUND
    assert api.post(f"models/{model_id}/setting_templates/", {"name": "N"}).code == NOT_FOUND


def test_templates_of_a_hidden_model_are_hidden(
    api: Caller, model: RiskModel, route: str, template: SettingTemplate
) -> None:
    api.delete(f"models/{model.pk}/")

    assert api.get(route).code == api.get(f"{route}{template.pk}/").code == NOT_FOUND


def test_who_may_not_see_the_model_sees_no_templates(version: str, template: SettingTemplate, route: str) -> None:
    template.model.groups.add(make_group())
    outsider = Caller(make_user(make_group()), version)

    assert outsider.get(route).code == outsider.get(f"{route}{template.pk}/").code == NOT_FOUND
    refused = [
        outsider.post(route, {"name": "N"}),
        outsider.patch(f"{route}{template.pk}/", {"name": "N"}),
        outsider.delete(f"{route}{template.pk}/"),
        outsider.post(f"{route}{template.pk}/content/", ANALYSIS_SETTINGS),
    ]
    assert {answer.code for answer in refused} == {FORBIDDEN}
    assert SettingTemplate.objects.get().name == "Standard"


@pytest.mark.parametrize("end", ["", "{pk}/"])
def test_many_templates_cost_as_many_queries_as_one(
    api: Caller, model: RiskModel, route: str, template: SettingTemplate, end: str
) -> None:
    path = route + end.format(pk=template.pk)
    with CaptureQueriesContext(connection) as one:
        api.get(path)

    for number in range(20):
        SettingTemplate.objects.create(model=model, name=str(number), file=make_file())
    with CaptureQueriesContext(connection) as many:
        assert api.get(path).code == OK

    assert len(many) == len(one) <= 10
