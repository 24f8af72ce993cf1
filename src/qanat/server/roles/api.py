"""The API server: gunicorn keeps its processes alive, uvicorn speaks HTTP, the bridge lends threads."""

import asyncio
import contextlib
import ctypes
import io
import signal
import sys
from pathlib import Path
from typing import Any, Final

import uvicorn
from django.conf import settings
from django.urls import resolve
from gunicorn import glogging
from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.workers.base import Worker

from qanat.server.api.common import admission
from qanat.server.config.wsgi import application
from qanat.server.probes.application import Probes
from qanat.server.realtime.answers import Answer
from qanat.server.realtime.events import Streams
from qanat.server.realtime.watcher import Watcher
from qanat.server.roles.bridge import Bridge, Environ
from qanat.server.roles.connections import HttpProtocol, Server, use_all_descriptors
from qanat.server.roles.forking import keep_shared
from qanat.server.roles.lifeline import Lifeline

KEEP_ALIVE_SECONDS: Final = 30
STOP_SECONDS: Final = 5
HEALTH: Final = {"/healthcheck", "/api/healthcheck"}
SWITCH_SECONDS: Final = 0.001
"""How long a thread may compute while others wait, such as the event loop: a fifth of what Python allows."""
MALLOC_MMAP_THRESHOLD: Final = -3
LARGE_BLOCK: Final = 2**23


class Doorkeeper:
    """What Django knows of who may send large bodies; see ``bridge.Doorkeeper``."""

    def is_urgent(self, environ: Environ) -> bool:
        """Say so of the health check: whoever asks it would end a server that is only busy."""
        return environ["PATH_INFO"].rstrip("/") in HEALTH

    def longest_body(self, environ: Environ) -> int:
        """Return how many bytes the body may have."""
        return admission.longest_body(environ)

    def refusal(self, environ: Environ) -> Answer | None:
        """Return the answer to somebody who may not."""
        question = {**environ, admission.QUESTION: True, "CONTENT_LENGTH": "0", "wsgi.input": io.BytesIO()}
        response = application(question, lambda *_: len)  # nobody writes through what it returns
        with contextlib.closing(response):
            if isinstance(response, admission.Admitted):
                return None
            body = b"".join(response)
        return Answer(status=response.status_code, headers=list(response.items()), body=body)


class Log(glogging.Logger):  # type: ignore[misc]
    """What gunicorn logs, as all else is logged."""

    def setup(self, cfg: Any) -> None:  # noqa: ANN401 - gunicorn's
        """Leave form and place to our own handlers."""
        super().setup(cfg)
        self.error_log.handlers.clear()
        self.error_log.propagate = True


class ApiProcess(Worker):  # type: ignore[misc]
    """One process of the API server, as gunicorn wants it."""

    def init_signals(self) -> None:
        """Leave signals to uvicorn."""
        for number in self.SIGNALS:
            signal.signal(number, signal.SIG_DFL)

    def run(self) -> None:
        """Serve until told to stop."""
        use_all_descriptors()
        sys.setswitchinterval(SWITCH_SECONDS)
        _give_memory_back()
        config = uvicorn.Config(
            self.wsgi,
            interface="asgi3",
            http=HttpProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,  # Django reads them
            server_header=False,
            timeout_keep_alive=self.cfg.keepalive,
            timeout_graceful_shutdown=STOP_SECONDS,
            backlog=self.cfg.backlog,
        )
        server = Server(config)

        async def serve() -> None:
            # gunicorn's way to end a process at once, which uvicorn does not know.
            asyncio.get_running_loop().add_signal_handler(signal.SIGQUIT, self.handle_quit, signal.SIGQUIT, None)
            await server.serve(sockets=self.sockets)

        with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
            runner.run(serve())
        if not server.started:
            sys.exit(Arbiter.WORKER_BOOT_ERROR)


class ApiServer(BaseApplication):  # type: ignore[misc]
    """gunicorn around the processes."""

    def __init__(self, *, bind: str) -> None:
        """Listen on ``bind``."""
        self._bind = bind
        self._lifeline = Lifeline()
        super().__init__()

    def load_config(self) -> None:
        """Set gunicorn up.

        The processes end with their parent: one that lingered would keep the port from the next API server.
        """
        options = {
            "bind": self._bind,
            "worker_class": ApiProcess,
            "logger_class": Log,
            "workers": settings.QANAT.api_processes,
            "timeout": 0,
            "graceful_timeout": STOP_SECONDS,
            "keepalive": KEEP_ALIVE_SECONDS,
            "proc_name": "qanat api",
            "control_socket_disable": True,
            "pre_fork": lambda _arbiter, _worker: _share_what_stays(),
            "post_fork": lambda _arbiter, _worker: self._lifeline.hold(),
        }
        for name, value in options.items():
            if name in self.cfg.settings:
                self.cfg.set(name, value)

    def load(self) -> Any:  # noqa: ANN401 - gunicorn calls it so, and does not look at it
        """Return the application, as each process wants one."""
        folder = Path(settings.FILE_UPLOAD_TEMP_DIR)
        folder.mkdir(parents=True, exist_ok=True)
        bridge = Bridge(
            application,
            Doorkeeper(),
            folder=folder,
            rest_of=Streams(Watcher()).rest_of,
            threads=settings.QANAT.api_threads,
        )
        return Probes(bridge)


def _share_what_stays() -> None:
    """Import all that the processes need, once for all of them, and keep the garbage collector from looking through it.

    It would do so again and again, and everything waits while it does.
    """
    resolve("/api/healthcheck/")  # it imports all routes, and with them all views and forms
    keep_shared()


def _give_memory_back() -> None:
    """Have large blocks, such as the 19 MiB of each password that is looked at, returned to the system when freed.

    glibc else takes them for something that comes often, and keeps them, for each thread.
    """
    with contextlib.suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL(None).mallopt(MALLOC_MMAP_THRESHOLD, LARGE_BLOCK)
