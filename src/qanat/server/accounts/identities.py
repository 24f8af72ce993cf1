"""Users of the identity provider as users here: made, renamed and put into groups as the provider's claims say.

Claims are mirrored when a token comes that was issued later than the one that was mirrored last. So a call costs one
query and no write, and an older token that is still good does not bring old groups back.
"""

from typing import Any

from django.contrib.auth.models import Group, User
from django.db import IntegrityError, transaction

from qanat.domain.claims import Person, is_complete, person_of, renamed
from qanat.server.accounts.models import Identity
from qanat.server.accounts.provider import Provider
from qanat.server.accounts.provider_tokens import Claims, access_claims


def user_of_access_token(provider: Provider, token: str) -> tuple[User, Claims]:
    """Return whose access token this is, as the newest of their tokens says they are, and its claims.

    Raises:
        TokenRefused: it is not good.
        ClaimsRefused: it makes nobody here.
        ProviderRefused: its claims are not all there, and the provider does not give them.
        ProviderUnavailable: the provider is needed and does not answer.
    """
    claims = access_claims(provider, token)
    issuer, as_of = provider.setup.issuer, int(claims["iat"])
    known = Identity.objects.select_related("user").filter(issuer=issuer, subject=claims["sub"]).first()
    if known is not None and known.as_of >= as_of:
        return known.user, claims
    person = person_of(claims if is_complete(claims) else _completed(provider, token, dict(claims)))
    try:
        user = _mirror(person, issuer=issuer, as_of=as_of)
    except IntegrityError:
        # Another request with the same news was first: once more, and it is there.
        user = _mirror(person, issuer=issuer, as_of=as_of)
    return user, claims


def _completed(provider: Provider, token: str, claims: dict[str, Any]) -> dict[str, Any]:
    """Return the claims with those that the provider maps into its answers only."""
    told = provider.userinfo(token)
    return {**told, **claims} if told.get("sub") == claims["sub"] else claims


@transaction.atomic
def _mirror(person: Person, *, issuer: str, as_of: int) -> User:
    identity = (
        Identity.objects.select_for_update()
        .select_related("user")
        .filter(issuer=issuer, subject=person.subject)
        .first()
    )
    if identity is None:
        user = User(username=person.username)
        user.set_unusable_password()
    elif identity.as_of >= as_of:
        return identity.user
    else:
        user = identity.user
    _make_way(person, user)
    user.username = person.username
    user.is_staff = user.is_superuser = person.is_admin
    user.save()
    user.groups.set([Group.objects.get_or_create(name=name)[0] for name in sorted(person.groups)])
    Identity.objects.update_or_create(issuer=issuer, subject=person.subject, defaults={"user": user, "as_of": as_of})
    return user


def _make_way(person: Person, user: User) -> None:
    """Rename whoever has the name already: the provider says whose it is, and what was theirs stays theirs."""
    other = User.objects.select_for_update().filter(username=person.username).exclude(pk=user.pk).first()
    if other is not None:
        name = renamed(other.username, subject=person.subject)
        taken = User.objects.filter(username=name).exists()
        other.username = renamed(name, subject=str(other.pk)) if taken else name
        other.save(update_fields=["username"])
