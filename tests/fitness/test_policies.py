"""Every route says who may call it, by the one means there is."""

import pytest
from django.core.exceptions import ImproperlyConfigured
from rest_framework.test import APIRequestFactory
from rest_framework.views import APIView

from qanat.server.api.common.policy import ANYBODY, ByGroups, Endpoint, declared, policy_of
from qanat.server.api.common.resources import ResourceView
from tests.api.authorisation.operations import BASE, routes

ROUTES = list(routes())
THE_ONE_MEANS = ("check_permissions", "permission_classes", "get_permissions", "initial", "as_view")
SITES_THAT_GUARD_THEMSELVES = ("api/admin/", "api/auth/", "api/static/")
"""Mounted whole from other libraries: the admin site asks for staff; logging in and the files of pages are for all."""


def test_every_view_has_a_policy() -> None:
    silent = {
        route.path: route.view
        for route in ROUTES
        if route.policy is None and not route.path.startswith(SITES_THAT_GUARD_THEMSELVES)
    }

    assert silent == {}, "derive these from Endpoint and declare a policy, or say `declared(policy, view)`"


def test_nobody_goes_around_the_policy() -> None:
    bypassing = {
        f"{owner.__module__}.{owner.__qualname__}.{name}"
        for route in ROUTES
        for owner in getattr(route.endpoint, "__mro__", ())
        for name in THE_ONE_MEANS
        if owner.__module__.startswith("qanat.") and owner is not Endpoint and name in vars(owner)
    }

    assert bypassing == set()


def test_what_belongs_to_groups_is_asked_by_groups() -> None:
    open_resources = {
        route.path
        for route in ROUTES
        if isinstance(route.endpoint, type) and issubclass(route.endpoint, ResourceView)
        if not isinstance(route.policy, ByGroups)
    }

    assert open_resources == set()


def test_every_route_to_a_row_names_the_row() -> None:
    nameless = {
        route.path
        for route in ROUTES
        if isinstance(route.policy, ByGroups) and route.arguments
        if route.endpoint.row_argument not in route.arguments
        if route.endpoint.admit_to_row is ResourceView.admit_to_row
    }

    assert nameless == set(), "say in `row_argument` which argument is the id of the row, or admit in another way"


def test_both_prefixes_lead_to_the_same_views() -> None:
    ours = [route for route in ROUTES if isinstance(route.endpoint, type) and issubclass(route.endpoint, Endpoint)]
    under_api = {route.path.removeprefix(BASE): route.view for route in ours if route.path.startswith(BASE)}

    assert under_api == {route.path: route.view for route in ours if not route.path.startswith(BASE)}


class Forgetful(Endpoint):
    """Says nothing of who may call it."""


class Foreign(APIView):
    """A view of another library, which allows what it is asked to."""

    def get(self, request: object) -> None:
        """Never reached."""
        raise AssertionError(request)


def test_an_endpoint_that_forgets_its_policy_cannot_be_routed() -> None:
    with pytest.raises(ImproperlyConfigured, match=r"Forgetful must declare its `policy`"):
        Forgetful.as_view()


def test_a_foreign_view_that_says_nothing_is_refused_to_everybody() -> None:
    answer = Foreign.as_view()(APIRequestFactory().get("/"))

    assert answer.status_code == 403
    assert policy_of(Foreign.as_view()) is None


def test_a_foreign_view_may_be_declared() -> None:
    assert policy_of(declared(ANYBODY, Foreign.as_view())) is ANYBODY


def test_a_row_without_its_argument_is_a_mistake_and_not_a_list() -> None:
    class Misrouted(ResourceView):
        """Routed by another name than its row's."""

        version = "v2"

    view = Misrouted()
    view.kwargs = {"portfolio_pk": 1}

    with pytest.raises(ImproperlyConfigured, match="routed without 'pk'"):
        view.admit_to_row()
