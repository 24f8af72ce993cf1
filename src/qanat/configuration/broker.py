"""How processes reach the broker."""

import ssl
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import quote, urlsplit

from pydantic import Field, SecretStr

from qanat.configuration.base import Settings, without_credentials
from qanat.configuration.names import Hidden, OfCelery, Own

PARTS: Final = ("rabbit_host", "rabbit_port", "rabbit_user", "rabbit_pass")


class BrokerSettings(Settings):
    """The broker's address, whole or in its parts, and its certificates."""

    broker_url: Annotated[OfCelery[str], Hidden(address=True)] = Field(default="", repr=False)
    """Address of the broker, such as ``amqp://user:password@host:5672//``; empty: made of the four that follow, if one
    of them is given, else one that lives in this process only."""
    rabbit_host: Annotated[OfCelery[str], Own()] = "127.0.0.1"
    """The host of RabbitMQ."""
    rabbit_port: Annotated[OfCelery[int], Own()] = 5672
    """Its port."""
    rabbit_user: Annotated[OfCelery[str], Own()] = "rabbit"
    """Its user."""
    rabbit_pass: Annotated[OfCelery[SecretStr], Own()] = SecretStr("rabbit")
    """The user's password."""
    broker_ssl_ca_certs: OfCelery[Path | None] = None
    """Certificates of the authorities that the broker's may come from; with one of these three the connection is
    encrypted, and the broker must prove who it is."""
    broker_ssl_certfile: OfCelery[Path | None] = None
    """Certificate by which this side proves who it is."""
    broker_ssl_keyfile: OfCelery[Path | None] = None
    """Its key."""

    def idle(self) -> dict[str, str]:
        """Return the parts of the address where it is given as a whole, or not at all."""
        if self.broker_url:
            return {**super().idle(), **dict.fromkeys(PARTS, "the address of the broker is given as a whole")}
        return super().idle() if self._has_parts else {**super().idle(), **dict.fromkeys(PARTS, "none is given")}

    def origin(self, name: str) -> str:
        """Say of an address that is made of its parts that it is."""
        made = name == "broker_url" and not self.broker_url and self._has_parts
        return "its parts" if made else super().origin(name)

    def shown(self, name: str) -> str:
        """Return the address that is in effect for the address that is given."""
        return without_credentials(self.broker) if name == "broker_url" else super().shown(name)

    @property
    def _has_parts(self) -> bool:
        return not self.model_fields_set.isdisjoint(PARTS)

    @property
    def broker(self) -> str:
        """The address of the broker that is in effect; may contain a password."""
        if self.broker_url:
            return self.broker_url
        if not self._has_parts:
            return "memory://"
        credentials = f"{quote(self.rabbit_user, safe='')}:{quote(self.rabbit_pass.get_secret_value(), safe='')}"
        return f"amqp://{credentials}@{self.rabbit_host}:{self.rabbit_port}//"

    @property
    def broker_tls(self) -> dict[str, Any] | None:
        """What Celery is told about certificates; None: nothing."""
        files = {
            "ca_certs": self.broker_ssl_ca_certs,
            "certfile": self.broker_ssl_certfile,
            "keyfile": self.broker_ssl_keyfile,
        }
        given = {name: str(path) for name, path in files.items() if path is not None}
        if not given:
            return None
        return {**given, "cert_reqs": ssl.CERT_REQUIRED, "server_hostname": urlsplit(self.broker).hostname}
