"""Workers register their models, and an operator may want to look at them first (wire contract, section 5.1)."""

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client

from qanat.contract import tasks
from qanat.contract.statuses import RunMode
from qanat.contract.worker_protocol import OURS
from qanat.server.risk_models import operations
from qanat.server.risk_models.models import RiskModel
from qanat.server.risk_models.tasks import register_v1, register_v2
from qanat.server.runs.stock import served
from tests.api.caller import Caller
from tests.factories import make_model, make_user

VERSIONS = {"oasislmf": "2.5.5", "ktools": "3.12.4", "platform": "2.5.6", "ods-tools": "5.0.7", "oed-schema": "4.0.0"}
IDENTITY = ("Stock", "Wind", "1")


def register(*, ours: bool = False, mode: RunMode = RunMode.V2, platform: str = "2.5.6") -> RiskModel:
    """Let a worker register, and return the model."""
    versions = {**VERSIONS, "platform": platform, **({OURS: "0.1"} if ours else {})}
    if mode is RunMode.V2:
        register_v2(*IDENTITY, {"model_settings": {}, "lookup_settings": {}}, versions, {"some": "config"})
    else:
        register_v1(*IDENTITY, None, versions)
    return RiskModel.objects.get(supplier_id="Stock")


@pytest.fixture(autouse=True)
def administrator(db: None) -> User:
    """Whose new models are."""
    return make_user(staff=True, superuser=True)


@pytest.fixture
def approving(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Operators approve new models."""
    monkeypatch.setattr(settings.QANAT, "approve_new_models", True)


@pytest.mark.parametrize("mode", list(RunMode))
def test_a_worker_makes_its_model_with_settings_and_versions(db: None, mode: RunMode) -> None:
    model = register(mode=mode)

    assert (model.run_mode, model.ver_platform, model.ver_oed, model.deleted) == (mode, "2.5.6", "4.0.0", False)
    assert (model.settings_file is not None) == (mode is RunMode.V2)
    assert served.queues() == {model.queue(mode)}


def test_whose_worker_registered_last_serves_the_model(db: None) -> None:
    model = register(ours=False)
    assert served.is_stock(model.queue(RunMode.V2))

    register(ours=True)

    assert served.queues() == set()


def test_a_worker_of_ours_says_so(db: None) -> None:
    register(ours=True)

    assert served.queues() == set()


def test_a_new_model_awaits_approval_where_operators_want_that(approving: None) -> None:
    model = register()
    assert (model.deleted, model.awaits_approval) == (True, True)
    assert (register().deleted, register().awaits_approval) == (True, True)

    operations.show(model=model)

    model = register()
    assert (model.deleted, model.awaits_approval) == (False, False)
    assert model.ver_platform == "2.5.6"


def test_a_model_that_users_have_hidden_awaits_approval_again(approving: None) -> None:
    operations.show(model=register())
    operations.hide(model=RiskModel.objects.get())

    assert register().awaits_approval


def test_a_worker_of_another_kind_cannot_take_an_approved_model(approving: None) -> None:
    operations.show(model=register(ours=True))

    model = register(ours=False, platform="9.9.9")

    assert served.queues() == set()
    assert (model.ver_platform, model.deleted) == ("2.5.6", False)


def test_the_first_worker_of_a_model_that_a_user_made_is_taken(approving: None) -> None:
    make_model(supplier_id="Stock", model_id="Wind", version_id="1", run_mode="V2")

    model = register()

    assert served.is_stock(model.queue(RunMode.V2))
    assert not model.deleted


def test_registration_has_the_contracts_names() -> None:
    assert (register_v1.name, register_v2.name) == (tasks.REGISTER_V1, tasks.REGISTER_V2)


def test_users_cannot_bring_a_model_that_awaits_approval_to_light(approving: None) -> None:
    register()
    api = Caller(make_user(), "v2")
    identity = dict(zip(("supplier_id", "model_id", "version_id"), IDENTITY, strict=True))

    answer = api.post("models/", identity)

    assert answer.code == 400
    assert api.get("models/").body == []


def test_operators_approve_on_the_admin_site(approving: None, administrator: User) -> None:
    model = register()
    site = Client()
    site.force_login(administrator)

    asked = {"action": "activate", "_selected_action": [model.pk]}
    site.post("/api/admin/risk_models/riskmodel/", asked)

    assert not register().deleted
