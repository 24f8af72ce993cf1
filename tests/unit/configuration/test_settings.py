"""Server and worker take their values by all of their names, and complain in words that lead to the mistake."""

import ssl
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from qanat.configuration.base import COMMAND_LINE, DEFAULT, HIDDEN, names_of
from qanat.configuration.report import PROCESSES
from qanat.configuration.server import ServerSettings
from qanat.configuration.sources import BadSettings, Sources
from qanat.configuration.worker import WorkerSettings
from qanat.contract.statuses import RunMode


def server(**variables: str) -> ServerSettings:
    return ServerSettings.read(Sources.read(variables))


def worker(**variables: str) -> WorkerSettings:
    return WorkerSettings.read(Sources.read(variables))


def test_a_server_of_the_reference_platform_is_configured_by_its_own_variables(tmp_path: Path) -> None:
    ini = tmp_path / "conf.ini"
    ini.write_text(
        "[default]\ndb_port = 5433\n[server]\nallowed_hosts = losses.example,localhost\nDB_HOST = other\n"
        "TOKEN_REFRESH_LIFETIME = days=7\nANALYSIS_PRIORITY_ADMIN_LEVELS = [9, 10]\n"
    )

    settings = server(
        OASIS_INI_PATH=str(ini),
        OASIS_SERVER_DB_ENGINE="django.db.backends.postgresql_psycopg2",
        OASIS_SERVER_DB_HOST="server-db",
        OASIS_SERVER_DB_NAME="oasis",
        OASIS_SERVER_DB_USER="oasis",
        OASIS_SERVER_DB_PASS="p@ss",
        OASIS_RABBIT_HOST="broker",
        OASIS_RABBIT_USER="u:ser",
        OASIS_RABBIT_PASS="p@ss",
        OASIS_SERVER_DB_CONN_MAX_AGE="600",
        OASIS_MEDIA_ROOT="/shared-fs",
        OASIS_STORAGE_TYPE="shared-FS",
        OASIS_DEBUG="1",
        OASIS_SERVER_DISABLE_V2_API="True",
        OASIS_SERVER_TOKEN_ACCESS_LIFETIME="minutes=5",
        OASIS_SERVER_TOKEN_REFRESH_ROTATE="false",
        OASIS_RESTRICT_SYSTEM_LOGS="yes",
        OASIS_SERVICE_USERNAME_OR_ID="root",
        OASIS_ADMIN_PASS="word",
        STARTUP_RUN_MIGRATIONS="true",
    )

    database = settings.database
    assert (database.kind, database.name, database.host, database.port) == ("postgresql", "oasis", "server-db", "5433")
    assert (database.user, database.password, settings.db_conn_max_age) == ("oasis", "p@ss", 600)
    assert settings.broker == "amqp://u%3Aser:p%40ss@broker:5672//"
    assert (settings.media_root, settings.storage_kind) == (Path("/shared-fs"), "local")
    assert settings.allowed_hosts == ["losses.example", "localhost"]
    assert (settings.access_token_lifetime, settings.refresh_token_lifetime) == (
        timedelta(minutes=5),
        timedelta(days=7),
    )
    assert not settings.refresh_token_rotate
    assert settings.debug
    assert settings.disable_v2_api
    assert settings.restrict_system_logs
    assert settings.startup_run_migrations
    assert settings.priority_admin_levels == [9, 10]
    assert (settings.admin_user, settings.admin_password) == ("root", SecretStr("word"))


def test_a_worker_of_the_reference_platform_is_configured_by_its_own_variables(tmp_path: Path) -> None:
    settings = worker(
        OASIS_RUN_MODE="V1",
        OASIS_MODEL_SUPPLIER_ID="OasisLMF",
        OASIS_MODEL_ID="PiWind",
        OASIS_MODEL_VERSION_ID="v1",
        OASIS_MODEL_DATA_DIRECTORY=str(tmp_path),
        OASIS_WORKER_OASISLMF_CONFIG="/etc/oasislmf.json",
        MODEL_SETTINGS_FILE="/etc/model_settings.json",
        OASIS_DISABLE_WORKER_REG="true",
        OASIS_WORKER_BASE_RUN_DIR="/tmp/run",  # noqa: S108 - a value like any other
        OASIS_CELERY_CONCURRENCY="3",
        OASIS_CELERY_BROKER_URL="amqp://broker//",
    )

    assert (settings.supplier_id, settings.model_id, settings.version_id) == ("OasisLMF", "PiWind", "v1")
    assert (settings.run_mode, settings.model_dir, settings.slots) == (RunMode.V1, tmp_path, 3)
    assert (settings.config, settings.settings_file) == (Path("/etc/oasislmf.json"), Path("/etc/model_settings.json"))
    assert (settings.broker, str(settings.work_dir)) == ("amqp://broker//", "/tmp/run")  # noqa: S108 - likewise
    assert settings.disable_worker_reg


def test_every_value_says_where_it_is_from() -> None:
    given = {"model_dir": Path("/m"), "slots": None}
    settings = WorkerSettings.read(Sources.read({"OASIS_CELERY_CONCURRENCY": "2", "QANAT_DEBUG": ""}), given)

    assert settings.origin("model_dir") == COMMAND_LINE
    assert settings.origin("slots") == "OASIS_CELERY_CONCURRENCY"
    assert settings.origin("debug") == "QANAT_DEBUG"
    assert settings.origin("server") == DEFAULT


def test_an_empty_value_is_the_default_whatever_comes_after_it() -> None:
    settings = server(QANAT_STORAGE_TYPE="", OASIS_STORAGE_TYPE="azure", OASIS_SERVER_DEBUG=" ", OASIS_DEBUG="1")

    assert (settings.storage_type, settings.debug) == ("local-fs", False)


@pytest.mark.parametrize(
    ("variables", "address"),
    [
        ({}, "memory://"),
        ({"OASIS_RABBIT_PORT": "5673"}, "amqp://rabbit:rabbit@127.0.0.1:5673//"),
        ({"OASIS_RABBIT_HOST": "mq", "OASIS_BROKER_URL": "amqp://other//"}, "amqp://other//"),
        ({"QANAT_BROKER_URL": "redis://here", "OASIS_CELERY_BROKER_URL": "amqp://other//"}, "redis://here"),
    ],
)
def test_the_broker_is_given_as_a_whole_or_in_parts(variables: dict[str, str], address: str) -> None:
    assert server(**variables).broker == worker(**variables).broker == address


def test_certificates_make_the_broker_prove_who_it_is() -> None:
    settings = worker(OASIS_CELERY_BROKER_URL="amqps://mq.example//", OASIS_CELERY_BROKER_SSL_CA_CERTS="/ca.pem")

    assert settings.broker_tls == {
        "ca_certs": "/ca.pem",
        "cert_reqs": ssl.CERT_REQUIRED,
        "server_hostname": "mq.example",
    }
    assert worker().broker_tls is None


def test_the_database_lies_in_the_data_directory_unless_told_otherwise(tmp_path: Path) -> None:
    assert server(QANAT_DATA_DIR=str(tmp_path)).database.name == str(tmp_path / "qanat.sqlite3")
    assert server(QANAT_DATA_DIR=str(tmp_path), OASIS_DB_NAME="db.sqlite3").database.name == str(
        tmp_path / "db.sqlite3"
    )


def test_the_address_of_the_database_goes_before_its_parts() -> None:
    settings = server(
        QANAT_DATABASE_URL="postgresql://ann:w%40rd@host:5433/losses?sslmode=require", OASIS_DB_HOST="other"
    )

    database = settings.database
    assert (database.host, database.port, database.user) == ("host", "5433", "ann")
    assert (database.name, database.password, database.options) == ("losses", "w@rd", {"sslmode": "require"})
    assert "w@rd" not in repr(database)


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"OASIS_SERVER_DB_PORT": "many"}, "OASIS_SERVER_DB_PORT: Input should be a valid integer"),
        ({"OASIS_DB_ENGINE": "mysql"}, "the database engine 'mysql' is not served"),
        ({"OASIS_DB_HOST": "server-db"}, "DB_HOST is given, but SQLite has no host"),
        ({"OASIS_DB_ENGINE": "postgresql"}, "PostgreSQL, which needs DB_NAME"),
        ({"OASIS_TOKEN_ACCESS_LIFETIME": "an hour"}, "OASIS_TOKEN_ACCESS_LIFETIME: 'an hour' is no length of time"),
        ({"QANAT_ADMIN_USER": "ann"}, "QANAT_ADMIN_USER and QANAT_ADMIN_PASSWORD go together"),
        (
            {"OASIS_SERVER_API_AUTH_TYPE": "keycloak", "OASIS_SERVER_ALLOWED_OIDC_AUTH_PROVIDERS": "authentik"},
            r"'keycloak' is not among ALLOWED_OIDC_AUTH_PROVIDERS \(authentik\)",
        ),
    ],
)
def test_what_is_wrong_is_said_under_the_name_that_was_given(variables: dict[str, str], sentence: str) -> None:
    with pytest.raises(BadSettings, match=rf"^The server cannot start with these settings\. .*{sentence}"):
        server(**variables)


def test_a_mistake_in_the_ini_file_is_said_with_its_place(tmp_path: Path) -> None:
    ini = tmp_path / "conf.ini"
    ini.write_text("[worker]\nDEBUG = perhaps\n")

    with pytest.raises(BadSettings, match=rf"The worker .* \[worker\] DEBUG in {ini}: Input should be a valid boolean"):
        worker(OASIS_INI_PATH=str(ini))


@pytest.mark.parametrize("process", sorted(PROCESSES))
def test_no_secret_is_shown_or_represented(process: str) -> None:
    kind = PROCESSES[process]
    telling = ("KEY", "PASS", "SECRET", "TOKEN", "URL")
    secrets = {
        names.variables[0]: f"amqp://ann:hush-{number}@host//"
        for number, (name, names) in enumerate(names_of(kind).items())
        if any(word in name.upper() for word in telling)
        and kind.model_fields[name].annotation in {str, SecretStr}
        and names.variables
        and name not in {"aws_access_key_id", "aws_s3_endpoint_url", "azure_endpoint_url", "database_url"}
    }
    plain = {"QANAT_ADMIN_USER": "ann", "QANAT_AWS_ACCESS_KEY_ID": "id"}

    settings = kind.read(Sources.read({**secrets, **plain}))

    assert secrets
    told = [settings.shown(name) for name in kind.model_fields]
    assert "hush" not in f"{told}"
    assert "hush" not in f"{settings!r}{settings}"
    assert HIDDEN in told


@pytest.mark.parametrize("process", sorted(PROCESSES))
def test_every_setting_is_explained_and_its_names_are_its_own(process: str) -> None:
    kind = PROCESSES[process]
    variables = [variable for names in names_of(kind).values() for variable in names.variables]

    assert [name for name, field in kind.model_fields.items() if not field.description] == []
    assert len(set(variables)) == len(variables)
