"""Which database the server uses."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final, Literal, Self
from urllib.parse import parse_qsl, unquote, urlsplit

from pydantic import Field, SecretStr, model_validator

from qanat.configuration.base import Settings
from qanat.configuration.names import Hidden, OfServer, Own
from qanat.configuration.places import default_data_dir

SQLITE_FILE: Final = "qanat.sqlite3"
ENGINES: Final[dict[str, Literal["sqlite", "postgresql"]]] = {
    "sqlite": "sqlite",
    "sqlite3": "sqlite",
    "postgres": "postgresql",
    "postgresql": "postgresql",
    "postgresql_psycopg2": "postgresql",
}
"""Kinds of databases by the scheme of an address and by the last part of a name of Django's."""
PARTS: Final = ("db_engine", "db_name")
SERVERS: Final = ("db_host", "db_port", "db_user", "db_pass")
SESSIONS: Final = ("db_conn_health_checks", "db_disable_server_side_cursors")


@dataclass(frozen=True, kw_only=True)
class Database:
    """A database and how it is reached."""

    kind: Literal["sqlite", "postgresql"]
    name: str
    """Of SQLite its file."""
    host: str = ""
    port: str = ""
    user: str = ""
    password: str = field(default="", repr=False)
    options: dict[str, str] = field(default_factory=dict)
    """As libpq has them, such as ``sslmode``."""


class DatabaseSettings(Settings):
    """A database by its address, or by the parts that the reference platform names."""

    data_dir: Path = Field(default_factory=default_data_dir)
    """Home of everything that is not configured to lie elsewhere; without it ``qanat`` in ``$XDG_DATA_HOME``, else in
    ``~/.local/share``."""
    database_url: Annotated[str, Hidden(address=True)] = Field(default="", repr=False)
    """``postgresql://user:password@host:port/name``; it goes before the parts that follow."""
    db_engine: Annotated[OfServer[str], Own()] = "sqlite3"
    """``sqlite3`` or ``postgresql``, also with ``django.db.backends.`` before it."""
    db_name: Annotated[OfServer[str], Own()] = ""
    """Name of the database; of SQLite its file, in the data directory unless it says where: ``qanat.sqlite3``."""
    db_host: Annotated[OfServer[str], Own()] = ""
    """Its host."""
    db_port: Annotated[OfServer[int | None], Own()] = None
    """Its port."""
    db_user: Annotated[OfServer[str], Own()] = ""
    """Its user."""
    db_pass: Annotated[OfServer[SecretStr], Own()] = SecretStr("")
    """The user's password."""
    db_conn_max_age: OfServer[int] = Field(default=60, ge=0)
    """For how many seconds a connection is kept; 0: for one request."""
    db_conn_health_checks: OfServer[bool] = True
    """Look whether a kept connection still works before it is used again (PostgreSQL)."""
    db_disable_server_side_cursors: OfServer[bool] = False
    """For a pool of connections, such as pgbouncer, between server and PostgreSQL: nothing is kept there but tables."""

    @property
    def database(self) -> Database:
        """The database that is in effect."""
        if self.database_url:
            return _by_address(self.database_url)
        if ENGINES[_engine(self.db_engine)] == "sqlite":
            return Database(kind="sqlite", name=str(self.data_dir / (self.db_name or SQLITE_FILE)))
        return Database(
            kind="postgresql",
            name=self.db_name,
            host=self.db_host,
            port=str(self.db_port or ""),
            user=self.db_user,
            password=self.db_pass.get_secret_value(),
        )

    def idle(self) -> dict[str, str]:
        """Return the parts where the address is given as a whole, and what SQLite has no use for."""
        if self.database_url:
            return {**super().idle(), **dict.fromkeys((*PARTS, *SERVERS), "QANAT_DATABASE_URL goes before it")}
        if self.database.kind == "sqlite":
            return {**super().idle(), **dict.fromkeys((*SERVERS, *SESSIONS), "SQLite has no use for it")}
        return super().idle()

    def shown(self, name: str) -> str:
        """Return the name that is in effect for the name that is given."""
        return self.database.name if name == "db_name" and not self.database_url else super().shown(name)

    @model_validator(mode="after")
    def _database_is_served(self) -> Self:
        if self.database_url:
            scheme = urlsplit(self.database_url).scheme
            if ENGINES.get(scheme) != "postgresql":
                message = (
                    f"QANAT_DATABASE_URL names a database of the kind '{scheme}', which is not served: write "
                    "postgresql://user:password@host:port/name, or leave it out for SQLite"
                )
                raise ValueError(message)
            return self
        kind = ENGINES.get(_engine(self.db_engine))
        if kind is None:
            message = f"the database engine '{self.db_engine}' is not served: set DB_ENGINE to postgresql or sqlite3"
            raise ValueError(message)
        if kind == "sqlite" and self.db_host:
            message = "DB_HOST is given, but SQLite has no host: set DB_ENGINE to postgresql, or leave DB_HOST out"
            raise ValueError(message)
        if kind == "postgresql" and not self.db_name:
            message = "DB_ENGINE asks for PostgreSQL, which needs DB_NAME, the name of the database"
            raise ValueError(message)
        return self


def _engine(name: str) -> str:
    return name.rpartition(".")[2].lower()


def _by_address(url: str) -> Database:
    parts = urlsplit(url)
    return Database(
        kind="postgresql",
        name=unquote(parts.path.lstrip("/")),
        host=unquote(parts.hostname or ""),
        port=str(parts.port or ""),
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        options=dict(parse_qsl(parts.query)),
    )
