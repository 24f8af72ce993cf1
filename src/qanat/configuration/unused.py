"""Names of the reference platform that nothing here reads, and why: what they set needs no setting, or is missing yet.

Whoever makes one of them work moves it from here to a field of the settings.
"""

from dataclasses import dataclass
from typing import Final

from qanat.configuration.names import Key, Names

ALL: Final = "*"
"""In place of names: whatever a section holds."""


@dataclass(frozen=True, kw_only=True)
class Unused:
    """Names that may be given and change nothing."""

    section: str
    """Of the INI file; empty: they are variables without a section, as they stand here."""
    names: tuple[str, ...]
    reason: str
    yet: bool = False
    """Whether what they set is missing here, rather than needless."""

    @property
    def each(self) -> tuple[tuple[str, Names], ...]:
        """Each name, with all the ways to give it."""
        return tuple((name, self._names(name)) for name in self.names)

    def _names(self, name: str) -> Names:
        if not self.section:
            return Names(own=(), bare=(name,))
        return Names(own=(), key=Key(self.section, name))


def _needless(section: str, names: str, reason: str) -> Unused:
    return Unused(section=section, names=tuple(names.split()), reason=reason)


def _not_yet(section: str, names: str, reason: str) -> Unused:
    return Unused(section=section, names=tuple(names.split()), reason=reason, yet=True)


THROUGH_THE_API: Final = "workers get and give files through the API, so only the server needs to know where they lie"
S3_NAMES: Final = (
    "AWS_BUCKET_NAME AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_S3_ENDPOINT_URL AWS_S3_REGION_NAME "
    "AWS_S3_CUSTOM_DOMAIN AWS_DEFAULT_ACL AWS_LOCATION AWS_QUERYSTRING_AUTH AWS_QUERYSTRING_EXPIRE AWS_SHARED_BUCKET "
    "AWS_LOG_LEVEL AWS_S3_FILE_OVERWRITE AWS_AUTO_CREATE_BUCKET AWS_BUCKET_ACL AWS_S3_ENCRYPTION AWS_SECURITY_TOKEN "
    "AWS_S3_SECURE_URLS AWS_IS_GZIPPED AWS_S3_USE_SSL AWS_S3_VERIFY AWS_REDUCED_REDUNDANCY AWS_PRELOAD_METADATA "
)
AZURE_NAMES: Final = (
    "AZURE_ACCOUNT_NAME AZURE_ACCOUNT_KEY AZURE_CONTAINER AZURE_LOCATION AZURE_SHARED_CONTAINER AZURE_OVERWRITE_FILES "
    "AZURE_SSL AZURE_LOG_LEVEL AZURE_CONNECTION_STRING AZURE_UPLOAD_MAX_CONN AZURE_CONNECTION_TIMEOUT_SECS "
    "AZURE_BLOB_MAX_MEMORY_SIZE AZURE_URL_EXPIRATION_SECS AZURE_DEFAULT_CONTENT AZURE_SAS_TOKEN AZURE_CUSTOM_DOMAIN "
    "AZURE_TOKEN_CREDENTIAL ENDPOINT_URL "
)

UNUSED: Final = (
    # The server.
    _needless("server", "URL_SUB_PATH", "every route answers both under /api/ and without it"),
    _needless("server", "DEBUG_TOOLBAR", "there is no toolbar"),
    _needless("server", "AUTH_BACKENDS", "API_AUTH_TYPE says how users log in, and there is one way to check them"),
    _needless("server", "GEN_SWAGGER_V1 GEN_SWAGGER_V2", "the documents of both versions are always served"),
    _needless(
        "server",
        "CHANNEL_LAYER_HOST CHANNEL_LAYER_PORT CHANNEL_LAYER_USER CHANNEL_LAYER_PASS CHANNEL_LAYER_SSL",
        "websocket servers read the database, and no Redis is needed",
    ),
    _needless(
        "server", "TASK_CONTROLLER_QUEUE", "it is for the server's own processes, which agree on task-controller"
    ),
    _needless("server", "AWS_S3_CUSTOM_DOMAIN", "clients get files through the API and are given no addresses"),
    _needless(
        "server",
        "AWS_LOG_LEVEL AZURE_LOG_LEVEL",
        "these libraries log requests with their headers, and secrets may not reach a log",
    ),
    _needless("server", "AZURE_SHARED_CONTAINER", THROUGH_THE_API),
    _needless("server", "AZURE_OVERWRITE_FILES", "every file has a name of its own, so none is overwritten"),
    _needless("server", "AZURE_SSL", "AZURE_ENDPOINT_URL says it, and without it connections are encrypted"),
    _not_yet(
        "server",
        "DB_POOL_ENABLE DB_POOL_MIN_SIZE DB_POOL_MAX_SIZE DB_POOL_TIMEOUT DB_POOL_MAX_LIFETIME DB_POOL_MAX_IDLE",
        "there is no pool within a process; DB_CONN_MAX_AGE keeps connections, and pgbouncer can pool them",
    ),
    _not_yet(
        "server",
        "AZURE_SERVICE_PRINCIPAL_USER AZURE_TENANT_ID AZURE_CLIENT_ID AZURE_CLIENT_SECRET",
        "logging in to the database with a token of Azure is not there; give DB_USER and DB_PASS",
    ),
    # All processes.
    _needless(
        "celery", "BROKER_MANAGEMENT_PORT", "queues are counted in the database, RabbitMQ's management is not asked"
    ),
    _needless(
        "celery",
        "DB_ENGINE DB_NAME DB_USER DB_PASS DB_HOST DB_PORT DB_SSL_MODE",
        "there is no result backend: results are committed through the API",
    ),
    _not_yet(
        "celery", "QUEUE_STATUS_DIGEST_SCHEDULE", "a crontab is not read; QANAT_DIGEST_INTERVAL_SECONDS says how often"
    ),
    _needless(
        "celery",
        "WORKER_MAX_MEMORY_PER_CHILD WORKER_MAX_TASKS_PER_CHILD",
        "every step has a process of its own, which ends with it",
    ),
    # The worker.
    _needless("worker", "TASK_LOG_DIR", "the log of a step goes to the server with its outputs"),
    _needless("worker", "RUN_DATA_DIR", "a step works in a directory of its own, which its worker removes"),
    _needless(
        "worker",
        "LOCK_FILE LOCK_TIMEOUT_IN_SECS LOCK_RETRY_COUNTDOWN_IN_SECS",
        "OASIS_CELERY_CONCURRENCY says how many steps run at once, and a V1 run always runs alone",
    ),
    _needless("worker", "FAIL_ON_REDELIVERY", "a message that comes twice does nothing the second time"),
    _needless("worker", "NUMBA_WARMUP", "the kernel is always compiled beforehand, in the background"),
    _needless(
        "worker", "TASK_CONTROLLER_QUEUE", "it is for the server's own processes, which agree on task-controller"
    ),
    _not_yet("worker", "ANALYSIS_TASK_CONTROLLER", "runs are always planned by the built-in plan"),
    _not_yet("worker", "DEFAULT_READER_ENGINE", "the kernel reads with pandas"),
    _not_yet("worker.default_reader_engine_options", ALL, "the kernel reads with pandas"),
    _needless("worker", f"STORAGE_TYPE MEDIA_ROOT ROOT_DIR CACHE_DIR {S3_NAMES} {AZURE_NAMES}", THROUGH_THE_API),
    _not_yet(
        "worker.model_data",
        f"STORAGE_TYPE {S3_NAMES} {AZURE_NAMES}",
        "a model's data is read from its directory, not from object storage",
    ),
    # Variables.
    _needless("", "OASIS_WEBSOCKET_URL OASIS_WEBSOCKET_PORT", "the kernel tells its progress to its own worker"),
    _needless("", "OASIS_USE_OIDC", "API_AUTH_TYPE says it to the server"),
    _needless(
        "", "OASIS_ENV_OVERRIDE", "the kernel is told everything in its configuration; it does not see variables"
    ),
    _not_yet("", "OASIS_CHECK_MISSING_INPUTS", "the kernel's own checks are made"),
    _not_yet("", "OASIS_OED_SCHEMA_INFO", "the schema is the one that ods-tools brings"),
    _not_yet(
        "",
        "OASIS_OASISLMF_VERSION OASIS_ODS_VERSION OASIS_ODM_VERSION",
        "packages are not replaced at the start; install the versions beforehand",
    ),
    _not_yet("", "OASIS_CELERY_EXTRA_ARGS", "Celery only listens here, and takes no more options"),
    _not_yet(
        "",
        "OASIS_API_HOST OASIS_API_PORT OASIS_API_SUBPATH OASIS_WEBSOCKET_HOST OASIS_API_SECURE OASIS_CLUSTER_NAMESPACE "
        "OASIS_TOTAL_WORKER_LIMIT OASIS_PRIORITIZED_MODELS_LIMIT CLUSTER OASIS_CONTINUE_UPDATE_SCALING "
        "OASIS_NEVER_SHUTDOWN_FIXED_WORKERS OASIS_LOGLEVEL",
        "the worker controller is not there",
    ),
)
