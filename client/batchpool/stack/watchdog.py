"""Find processes of a local stack that are alive and do not work."""

import socket
import threading
import time
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException

from redis.exceptions import RedisError

from batchpool.ledger.connection import connect
from batchpool.ledger.presence import Presence
from batchpool.ledger.reconciler_presence import idle_reconcilers

RECONCILER_IDLE_S = 15
_ANSWER_WITHIN_S = 5.0


class Watchdog:
    """Asks in a thread of its own what each process has done lately.

    A process is wedged if for `wedged_after_s` it has shown no sign of work: a worker announces
    itself in Redis, a reconciler sends commands, an API answers /healthz. While Redis is away or
    takes no writes nobody can show any, so nobody is wedged. After a gap of its own (the machine
    slept) it begins anew.
    """

    def __init__(
        self,
        redis_url: str,
        api: tuple[str, int],
        pids: Callable[[], dict[str, int]],
        wedged_after_s: float,
    ) -> None:
        self._redis_url = redis_url
        self._api = api
        self._pids = pids
        self._wedged_after_s = wedged_after_s
        self._period_s = wedged_after_s / 6
        self._silent_since: dict[tuple[str, int], float] = {}
        self._wedged: set[tuple[str, int]] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """End watching."""
        self._stop.set()
        self._thread.join()

    def take_wedged(self) -> set[tuple[str, int]]:
        """Name and PID of each process found wedged since the last call."""
        found, self._wedged = self._wedged, set()
        return found

    def _run(self) -> None:
        looked = time.monotonic()
        while not self._stop.wait(self._period_s):
            now = time.monotonic()
            if now - looked > self._wedged_after_s:
                self._silent_since.clear()
            self._look(now)
            looked = time.monotonic()

    def _look(self, now: float) -> None:
        running = {(name, pid) for name, pid in self._pids().items() if name != "redis"}
        working = self._working(running)
        if working is None:
            self._silent_since.clear()
            return
        silent = running - working
        self._silent_since = {each: self._silent_since.get(each, now) for each in silent}
        self._wedged |= {
            each
            for each, since in self._silent_since.items()
            if now - since >= self._wedged_after_s
        }

    def _working(self, running: set[tuple[str, int]]) -> set[tuple[str, int]] | None:
        """Those that have shown a sign of work; None if Redis does not answer."""
        try:
            with connect(self._redis_url, socket_timeout_s=_ANSWER_WITHIN_S) as redis:
                presence = Presence(redis)
                presence.check_writable()
                pids = {worker.pid for worker in presence.workers()}
                host = socket.gethostname()
                pids |= {
                    pid
                    for (where, pid), idle_s in idle_reconcilers(redis).items()
                    if where == host and idle_s < RECONCILER_IDLE_S
                }
        except RedisError:
            return None
        return {each for each in running if each[1] in pids or self._is_answering(each[0])}

    def _is_answering(self, name: str) -> bool:
        if name != "api":
            return False
        connection = HTTPConnection(self._api[0], self._api[1], timeout=_ANSWER_WITHIN_S)
        try:
            connection.request("GET", "/healthz")
            return connection.getresponse().status == 200
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()
