"""gunicorn around the app: processes of many threads, and a stop that waits for no stream."""

import gc
import ipaddress
import logging
import resource
import sys

from flask import Flask
from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]
from gunicorn.arbiter import Arbiter  # type: ignore[import-untyped]

from batchpool.api.app import create_app
from batchpool.api.bodies.large_bodies import LargeBodies
from batchpool.api.serving.thread_limits import ThreadLimits
from batchpool.api.settings import ApiSettings
from batchpool.ledger.connection import connect
from batchpool.system.logs import configure_logging

LOG = logging.getLogger("batchpool.api")

GRACE_S = 2
MAX_CONNECTIONS = 4096


class Server(BaseApplication):  # type: ignore[misc]
    """The API under gunicorn, configured by `ApiSettings` alone."""

    def __init__(self, settings: ApiSettings) -> None:
        self._settings = settings
        # Before the fork: they hold over all processes.
        self._limits = ThreadLimits.of(settings)
        super().__init__()

    def load_config(self) -> None:
        for name, value in server_options(self._settings).items():
            # Older gunicorns have no control socket, and so no way to switch it off.
            if name in self.cfg.settings:
                self.cfg.set(name, value)

    def load(self) -> Flask:
        """Make the app, in the serving process after the fork: it opens the connections."""
        settings = self._settings
        app = create_app(
            settings,
            connect(settings.redis_url, socket_timeout_s=settings.redis_timeout_s),
            connect(settings.redis_url, socket_timeout_s=settings.submit_timeout_s),
            LargeBodies(settings),
            self._limits,
        )
        tune_collector()
        return app


def tune_collector() -> None:
    """Run the garbage collector less often, and without the objects that were loaded before.

    A body is parsed into a million objects without a cycle among them; with the defaults two
    thirds of the time of reading 340,000 lists went into looking for some.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def server_options(settings: ApiSettings) -> dict[str, object]:
    """gunicorn's options for these settings."""
    inherited = settings.listen_fd >= 0
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return {
        "bind": f"fd://{settings.listen_fd}" if inherited else f"{host}:{settings.port}",
        "worker_class": "batchpool.api.serving.worker.BufferingWorker",
        "workers": settings.processes,
        "threads": settings.threads,
        "worker_connections": _allow_connections(),
        # A header of the name of a WSGI variable is none of ours, from whatever address it comes.
        "forwarder_headers": "",
        "forwarded_allow_ips": "",
        "secure_scheme_headers": {},
        "header_map": "drop",
        "graceful_timeout": GRACE_S,
        # Of the poll loop's own heartbeat; requests have threads of their own.
        "timeout": 60,
        "control_socket_disable": True,
        "loglevel": settings.log_level,
        "proc_name": "batchpool-api",
        "when_ready": _announce,
    }


def _allow_connections() -> int:
    """Raise the limit on descriptors as far as it may be; half of them are for connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    most = 2 * MAX_CONNECTIONS
    if soft != unlimited and soft < most:
        soft = most if hard == unlimited else min(hard, most)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return MAX_CONNECTIONS if soft == unlimited else min(MAX_CONNECTIONS, soft // 2)


def _announce(arbiter: Arbiter) -> None:
    """Print the bound address on stdout; with port 0 it is known only now."""
    for listener in arbiter.LISTENERS:
        host, port = listener.sock.getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        sys.stdout.write(f"listening http://{shown}:{port}\n")
        if not ipaddress.ip_address(host).is_loopback:
            LOG.warning(
                "listening on %s, beyond this machine: there is no authentication; any "
                "client that reaches the port can submit jobs and read results",
                host,
            )
    sys.stdout.flush()


def run(settings: ApiSettings) -> None:
    """Serve until SIGTERM or SIGINT."""
    configure_logging(settings.log_level)
    Server(settings).run()
