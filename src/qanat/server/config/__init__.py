"""Settings, routes and the Celery app; ``environment`` is the only reader of the server's environment."""
