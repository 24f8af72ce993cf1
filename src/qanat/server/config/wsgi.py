"""The API server's entry point for a WSGI server."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "qanat.server.config.settings")
application = get_wsgi_application()

from qanat.server.config import celery  # noqa: E402, F401 - views ring doorbells through the default app
