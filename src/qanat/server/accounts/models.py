"""What is known of users beside Django's own tables."""

from django.contrib.auth.models import User
from django.db import models


class Identity(models.Model):
    """Who a user is at the identity provider."""

    user = models.OneToOneField(User, on_delete=models.CASCADE, related_name="identity")
    issuer = models.CharField(max_length=255)
    subject = models.CharField(max_length=255)
    as_of = models.BigIntegerField(default=0)
    """When the token was issued whose claims the user has, in seconds since 1970: older tokens change nothing."""

    class Meta:
        """One user a subject."""

        constraints = [models.UniqueConstraint(fields=["issuer", "subject"], name="one_user_a_subject")]

    def __str__(self) -> str:
        return f"{self.subject} at {self.issuer}"


class LoginFailures(models.Model):
    """What an account, or an address, has failed of late; names are hashed, for people type passwords into them."""

    key = models.CharField(max_length=64, primary_key=True)
    failures = models.FloatField(default=0)
    last = models.DateTimeField()
    until = models.DateTimeField()
    """No attempt is looked at before."""
    password = models.CharField(max_length=64, blank=True)
    """Keyed digest of the one that failed last: whoever sends it again guesses nothing."""

    def __str__(self) -> str:
        return f"{self.failures} failures of {self.key}"


class Ticket(models.Model):
    """What is good once and not for long: a log-in under way, or tokens that wait to be fetched."""

    digest = models.CharField(max_length=64, primary_key=True)
    expires = models.DateTimeField(db_index=True)
    content = models.TextField(blank=True)
    """Encrypted."""

    def __str__(self) -> str:
        return f"ticket until {self.expires}"
