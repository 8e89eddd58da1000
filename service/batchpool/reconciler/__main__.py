"""`python -m batchpool.reconciler`: run passes, through outages of Redis, until a stop signal.

A thread with a client of its own drives comparisons.
"""

import logging
import select
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

from redis.exceptions import RedisError

from batchpool.command_help import answer_arguments
from batchpool.comparisons.driver import Driver, drive_forever
from batchpool.ledger.connection import connect
from batchpool.ledger.reconciler_presence import client_name
from batchpool.reconciler.reconciler import Reconciler
from batchpool.settings import ReconcilerSettings
from batchpool.system.logs import configure_logging

LOG = logging.getLogger("batchpool.reconciler")

REDIS_TIMEOUT_S = 5.0
STOP_S = 2.0
ABOUT = (
    "Requeue, park or end batches that have no owner, and drive comparisons, until SIGTERM or "
    "SIGINT."
)
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StopSignals:
    """Wait for SIGTERM and SIGINT.

    A socket, not an Event: a handler that sets an Event can interrupt the very thread that holds
    its lock, and both wait forever.
    """

    def __enter__(self) -> Self:
        self._woken, self._waker = socket.socketpair()
        self._waker.setblocking(False)
        self._before = {number: signal.signal(number, self._ignore) for number in STOP_SIGNALS}
        self._fd_before = signal.set_wakeup_fd(self._waker.fileno(), warn_on_full_buffer=False)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        frames: TracebackType | None,
    ) -> None:
        signal.set_wakeup_fd(self._fd_before)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._woken.close()
        self._waker.close()

    def wait(self, seconds: float) -> bool:
        """Wait up to `seconds`; return whether a signal has come."""
        return bool(select.select([self._woken], [], [], seconds)[0])

    @staticmethod
    def _ignore(number: int, frame: Any) -> None:
        return None


def run_forever(reconciler: Reconciler, interval_s: float, stop: StopSignals) -> None:
    """Run passes until a stop signal; log one line when an outage begins and one when it ends."""
    away = False
    while True:
        try:
            reconciler.run_pass()
            if away:
                LOG.warning("Redis answers again")
            away = False
        except RedisError as error:
            if not away:
                LOG.warning("Redis does not answer, retrying: %s", error)
            away = True
        except Exception:
            # One job that cannot be read must not stop the passes over all others.
            LOG.exception("unhandled exception in a pass of the reconciler")
        if stop.wait(interval_s):
            return


@contextmanager
def comparison_driver(settings: ReconcilerSettings) -> Iterator[None]:
    """Drive comparisons in a thread for as long as the `with` lasts."""
    stop = threading.Event()
    with connect(settings.redis_url, socket_timeout_s=REDIS_TIMEOUT_S) as redis:
        thread = threading.Thread(
            target=drive_forever, args=(Driver(redis, settings), stop), name="driver", daemon=True
        )
        thread.start()
        try:
            yield
        finally:
            stop.set()
            # An analysis may be under way; the next leader repeats it.
            thread.join(STOP_S)


def main() -> int:
    answer_arguments("batchpool.reconciler", ABOUT, ReconcilerSettings, sys.argv[1:])
    settings = ReconcilerSettings.of_process()
    configure_logging(settings.log_level)
    with (
        StopSignals() as stop,
        connect(settings.redis_url, socket_timeout_s=REDIS_TIMEOUT_S, name=client_name()) as redis,
        comparison_driver(settings),
    ):
        run_forever(Reconciler(redis, settings), settings.reconcile_interval_s, stop)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
