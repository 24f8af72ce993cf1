"""What an endpoint demands of whoever calls it, before any of its own code runs.

Every endpoint is an ``Endpoint`` and declares a ``Policy``; without one it has no view function, so it cannot be
routed. A view of another library says who may call it with ``declared``. What is neither is refused to everybody
(``accounts.authentication.Undeclared``), and ``tests/fitness/test_policies.py`` names it.
``tests/api/test_authorisation.py`` asks every operation in the name of everybody.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

from django.core.exceptions import ImproperlyConfigured
from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import IsAdminUser, IsAuthenticated
from rest_framework.request import Request
from rest_framework.views import APIView

from qanat.server.accounts.authentication import ways_in

AnyView = TypeVar("AnyView", bound=Callable[..., Any])


class Policy(ABC):
    """Who is let in."""

    of_users: ClassVar[bool] = True
    """Whether it asks for a user; where it does not, credentials are not even looked at."""

    @abstractmethod
    def admit(self, view: Any, request: Request) -> None:  # noqa: ANN401 - the endpoints that the policy is for
        """Let the request in.

        Raises:
            NotAuthenticated: nobody has proved who asks.
            PermissionDenied: whoever asks may not.
            Http404: what is asked for does not exist for whoever asks.
        """


class Anybody(Policy):
    """No credentials are asked for."""

    of_users = False

    def admit(self, view: Any, request: Request) -> None:  # noqa: ANN401 - as declared
        """Let everybody in."""


class Users(Policy):
    """Whoever is logged in."""

    def admit(self, view: Any, request: Request) -> None:  # noqa: ANN401 - as declared
        """Let users in."""
        if not IsAuthenticated().has_permission(request, view):
            view.permission_denied(request)


class Staff(Users):
    """Staff; they see the rows of all groups here."""

    def admit(self, view: Any, request: Request) -> None:  # noqa: ANN401 - as declared
        """Let staff in."""
        super().admit(view, request)
        if not IsAdminUser().has_permission(request, view):
            view.permission_denied(request)


class ByGroups(Users):
    """Whoever is logged in, and sees the row that the route names: the rules of ``accounts.access``."""

    def admit(self, view: Any, request: Request) -> None:  # noqa: ANN401 - as declared
        """Let users in who see the row."""
        super().admit(view, request)
        view.admit_to_row()


ANYBODY = Anybody()
USERS = Users()
STAFF = Staff()
BY_GROUPS = ByGroups()


class Endpoint(APIView):
    """A view of ours."""

    policy: ClassVar[Policy]
    permission_classes = ()
    """The policy decides, and nothing else."""

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Any:  # noqa: ANN401 - the view's own attributes; a view function
        """Return the view function.

        Raises:
            ImproperlyConfigured: the endpoint declares no policy, or goes around it.
        """
        if not isinstance(getattr(cls, "policy", None), Policy):
            message = f"{cls.__module__}.{cls.__qualname__} must declare its `policy` (qanat.server.api.common.policy)"
            raise ImproperlyConfigured(message)
        return super().as_view(**initkwargs)

    def check_permissions(self, request: Request) -> None:
        """Ask the policy."""
        self.policy.admit(self, request)

    def get_authenticators(self) -> list[BaseAuthentication]:
        """Return how users prove who they are, where that matters."""
        return [way() for way in ways_in()] if self.policy.of_users else []


def declared(policy: Policy, view: AnyView) -> AnyView:
    """Note the policy that a view of another library keeps by its own means, such as pages for everybody."""
    view.policy = policy  # type: ignore[attr-defined] # functions take attributes
    return view


def policy_of(view: Callable[..., Any]) -> Policy | None:
    """Return the policy of a routed view, or None where it has none."""
    found = getattr(view, "policy", None) or getattr(getattr(view, "cls", None), "policy", None)
    return found if isinstance(found, Policy) else None
