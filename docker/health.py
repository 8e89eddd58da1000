"""Health checks of the containers: is the process not only there, but at work?

    worker       it has announced itself in Redis within its time to live, and has room for a batch:
                 space in the temp folder and in /dev/shm, threads and processes
    reconciler   its connection has sent a command in the last seconds
    api          /readyz answers 200

Docker restarts a container that ends, not one that is unhealthy. So a process that once worked and
has shown no sign of work for `SILENT_S` is killed here, which ends its container. Only checks that
Redis answered count: without it nobody can show any sign.
"""

import contextlib
import http.client
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batchpool.system.process_tree import children_of

QUIET_S = 15
"""A reconciler that works sends commands more often."""
SILENT_S = 15
"""More than a worker needs to announce itself once Redis is there again."""
GAP_S = 30
"""Checks stop while a container is paused. After a gap the process gets its time again."""


@dataclass(frozen=True)
class Findings:
    """What a check found: a process at work may not be well, for want of room say."""

    at_work: bool
    is_well: bool = True


class Silence:
    """For how long the process has shown no sign of work, from one check to the next.

    A file says it by its times alone, since the disk may be full: it is there once the process has
    been seen at work; its access time is that of the first of the failed checks in a row, or 0,
    and its modification time that of the last one, both by the monotonic clock.
    """

    def __init__(self, noted: Path) -> None:
        self._noted = noted

    def end(self) -> None:
        """Note that the process is at work."""
        self._noted.touch()
        os.utime(self._noted, (0, 0))

    def forgive(self) -> None:
        """Begin anew: this check could not see whether the process is at work."""
        if self._noted.exists():
            self.end()

    def lasts_s(self) -> float:
        """Note a failed check; return the seconds since the first of them, 0 before any work."""
        if not self._noted.exists():
            return 0
        now, noted = time.monotonic(), self._noted.stat()
        first = noted.st_atime if noted.st_atime and now - noted.st_mtime < GAP_S else now
        os.utime(self._noted, (first, now))
        return now - first


def temp() -> Path:
    # Not `tempfile.gettempdir()`: it takes another folder when this one is full.
    return Path(os.environ.get("TMPDIR", "/tmp"))  # noqa: S108


def has_room() -> bool:
    from batchpool.system.limits import reached_limits

    reached = reached_limits(temp(), Path("/dev/shm"))  # noqa: S108
    for limit in reached:
        sys.stderr.write(f"{limit}\n")
    return not reached


class RedisGaveNoAnswer(Exception):
    """Nobody can show any sign of work now."""


# What a check needs is imported where it is used: all of it takes 0.2 s of CPU time, and the check
# of the API, which comes every few seconds too, has no need of redis-py while all is well.
@contextlib.contextmanager
def redis_client() -> Iterator[Any]:
    from redis.exceptions import RedisError

    from batchpool.ledger.connection import connect

    try:
        with connect(os.environ["REDIS_URL"], socket_timeout_s=3.0) as redis:
            yield redis
    except RedisError as error:
        raise RedisGaveNoAnswer(str(error)) from None


def check_writable() -> None:
    from batchpool.ledger.presence import Presence

    with redis_client() as redis:
        Presence(redis).check_writable()


def worker() -> Findings:
    from batchpool.ledger.presence import Presence

    host = socket.gethostname()
    with redis_client() as redis:
        at_work = any(each.host == host for each in Presence(redis).workers())
    return Findings(at_work, has_room())


def reconciler() -> Findings:
    from batchpool.ledger.reconciler_presence import idle_reconcilers

    host = socket.gethostname()
    with redis_client() as redis:
        idle = idle_reconcilers(redis).items()
    return Findings(any(where == host and idle_s < QUIET_S for (where, _), idle_s in idle))


def api() -> Findings:
    # Not by urllib: HTTP_PROXY may name a proxy, which has no way to this container's loopback.
    connection = http.client.HTTPConnection("127.0.0.1", 8000, timeout=4)
    try:
        connection.request("GET", "/readyz")
        return Findings(True, connection.getresponse().status == 200)
    except (OSError, http.client.HTTPException):
        return Findings(False)
    finally:
        connection.close()


def end_process() -> None:
    """Kill what the container runs: the first child of its init."""
    for pid in children_of(1)[:1]:
        with contextlib.suppress(OSError):
            # The container's log: what a health check itself writes only `docker inspect` shows.
            Path("/proc/1/fd/2").write_text(f"health check: no sign of work, PID {pid} is killed\n")
        os.kill(pid, signal.SIGKILL)


def main(check: Callable[[], Findings]) -> bool:
    silence = Silence(temp() / "batchpool-health")
    try:
        found = check()
        if not found.at_work:
            check_writable()
    except RedisGaveNoAnswer as error:
        sys.stderr.write(f"Redis: {error}\n")
        silence.forgive()
        return False
    if found.at_work:
        # A full disk may have no place for a file.
        with contextlib.suppress(OSError):
            silence.end()
    elif silence.lasts_s() >= SILENT_S:
        end_process()
    return found.at_work and found.is_well


CHECKS = {"worker": worker, "reconciler": reconciler, "api": api}

if __name__ == "__main__":
    sys.exit(0 if main(CHECKS[sys.argv[1]]) else 1)
