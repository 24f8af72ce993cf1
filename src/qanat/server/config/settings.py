"""Django's settings, filled from ``environment``."""

from typing import Any

from qanat import __version__, logs
from qanat.configuration.database import Database
from qanat.server.config import environment

QANAT = environment.load()

SECRET_KEY = QANAT.secret_key
DEBUG = QANAT.debug
ALLOWED_HOSTS = QANAT.allowed_hosts
USE_X_FORWARDED_HOST = True
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_CONTENT_TYPE_NOSNIFF = True

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "rest_framework_simplejwt.token_blacklist",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "qanat.server.accounts",
    "qanat.server.files",
    "qanat.server.runs",
    "qanat.server.data_files",
    "qanat.server.risk_models",
    "qanat.server.portfolios",
    "qanat.server.analyses",
    "qanat.server.queues",
    "qanat.server.admin",
]
MIDDLEWARE = [
    "qanat.server.api.common.middleware.count_requests",
    "django.middleware.security.SecurityMiddleware",
    "qanat.server.api.common.middleware.keep_cookies_from_the_wire",
    "qanat.server.api.common.middleware.SlowDown",
    "qanat.server.api.common.middleware.tolerate_clients",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "qanat.server.api.common.admission.Admission",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
STATIC_URL = "/api/static/"
LOGIN_URL = "/api/auth/login/"
LOGIN_REDIRECT_URL = LOGOUT_REDIRECT_URL = "/api/"
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
# Browsers heed it only where it comes by TLS. What other hosts of the site do is not for us to say.
SECURE_HSTS_SECONDS = 0 if DEBUG else 365 * 24 * 3600
ROOT_URLCONF = "qanat.server.config.urls"
WSGI_APPLICATION = "qanat.server.config.wsgi.application"
APPEND_SLASH = False
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en-us"
USE_I18N = False
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATA_UPLOAD_MAX_MEMORY_SIZE = 64 * 2**20
# Not among the system's temporary files, which may lie in memory.
FILE_UPLOAD_TEMP_DIR = QANAT.upload_dir
FILE_UPLOAD_TEMP_DIR.mkdir(parents=True, exist_ok=True)
FILE_UPLOAD_HANDLERS = ["qanat.server.api.common.uploads.UploadHandler"]
AUTHENTICATION_BACKENDS = ["qanat.server.accounts.backends.Passwords"]
PASSWORD_HASHERS = [
    "qanat.server.accounts.passwords.Argon2id",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",  # of accounts from before; kept anew when they log in
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]


def _database(database: Database) -> dict[str, Any]:
    """Return Django's description of a database."""
    kept = {
        "CONN_MAX_AGE": QANAT.db_conn_max_age,
        "CONN_HEALTH_CHECKS": QANAT.db_conn_health_checks,
        "DISABLE_SERVER_SIDE_CURSORS": QANAT.db_disable_server_side_cursors,
    }
    if database.kind == "sqlite":
        return {
            **kept,
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": database.name,
            "OPTIONS": {
                # Writers queue up for the lock when they begin, not in the middle: no transaction is ever torn.
                "transaction_mode": "IMMEDIATE",
                "timeout": 30,
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;",
            },
        }
    return {
        **kept,
        "ENGINE": "qanat.server.config.postgresql",
        "NAME": database.name,
        "USER": database.user,
        "PASSWORD": database.password,
        "HOST": database.host,
        "PORT": database.port,
        "OPTIONS": {
            # How often a statement of `prepared` is asked before the server keeps it; a pool may not.
            "prepare_threshold": None if QANAT.db_disable_server_side_cursors else 2,
            **database.options,
        },
    }


DATABASES = {"default": _database(QANAT.database)}

REST_FRAMEWORK = {
    "DEFAULT_PARSER_CLASSES": (
        "qanat.server.api.common.parsers.JSONParser",
        "rest_framework.parsers.FormParser",
        "rest_framework.parsers.MultiPartParser",
    ),
    "DEFAULT_AUTHENTICATION_CLASSES": [],  # our own views ask `accounts.authentication.ways_in`
    "DEFAULT_PERMISSION_CLASSES": ["qanat.server.accounts.authentication.Undeclared"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "qanat.server.api.common.negotiation.AlwaysJson",
    "EXCEPTION_HANDLER": "qanat.server.api.common.errors.handle",
    "DATETIME_FORMAT": "%Y-%m-%dT%H:%M:%S.%fZ",
    "UNAUTHENTICATED_USER": None,
    "DEFAULT_SCHEMA_CLASS": "qanat.server.api.common.openapi.Schema",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Qanat",
    "DESCRIPTION": "Portfolios in, losses out: the HTTP API that clients of the Oasis Platform speak.",
    "VERSION": __version__,
    "SERVE_AUTHENTICATION": [],
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "COMPONENT_SPLIT_REQUEST": True,
    "POSTPROCESSING_HOOKS": [],  # enums stay where they are used
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SWAGGER_UI_SETTINGS": {"persistAuthorization": True, "docExpansion": "none"},
    "APPEND_COMPONENTS": {
        "securitySchemes": {
            "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
            "basic": {"type": "http", "scheme": "basic"},
            "session": {"type": "apiKey", "in": "cookie", "name": "sessionid"},
        }
    },
}
SIMPLE_JWT = {
    "ACCESS_TOKEN_LIFETIME": QANAT.access_token_lifetime,
    "REFRESH_TOKEN_LIFETIME": QANAT.refresh_token_lifetime,
    "ROTATE_REFRESH_TOKENS": QANAT.refresh_token_rotate,
    "BLACKLIST_AFTER_ROTATION": True,
    "SIGNING_KEY": QANAT.token_signing_key,
    "TOKEN_TYPE_CLAIM": "token_type",
}

LOGGING = logs.configuration(form=QANAT.log_format, level=QANAT.log_level)
