"""Reap orphans of tasks while a batch runs."""

import gc
import multiprocessing
import os
import subprocess
import time
from contextlib import suppress

from batchpool.system.process_tree import children_of, stat_fields

_LOOK_EVERY_S = 0.05
_TOLERATED = 16


class OrphanReaper:
    """Takes the exit status of processes that nobody else waits for.

    What a task's subprocess leaves running becomes a child of the runner, which is a subreaper, and
    stays as a zombie when it ends: a thousand of them take all PIDs of a container. A zombie is
    reaped if there are many, if it was there at the last look, and if no `Popen` or `Process` of
    this process has its PID. A task that forks by `os.fork()` and waits for its child much later,
    beside many other zombies, may find it reaped.
    """

    def __init__(self) -> None:
        self._next_look = 0.0
        self._seen: set[int] = set()

    def reap(self) -> int:
        """Look, at most twenty times a second; return how many were reaped."""
        now = time.monotonic()
        if now < self._next_look:
            return 0
        self._next_look = now + _LOOK_EVERY_S
        if not _has_zombie():
            self._seen.clear()
            return 0
        zombies = {pid for pid in children_of(os.getpid()) if stat_fields(pid)[:1] == [b"Z"]}
        old, self._seen = zombies & self._seen, zombies
        if len(old) <= _TOLERATED:
            return 0
        orphans = old - _awaited()
        for pid in orphans:
            with suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        return len(orphans)


def _has_zombie() -> bool:
    try:
        return os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return False


def _awaited() -> set[int]:
    """PIDs for which an object of this process waits."""
    awaited: set[int | None] = set()
    for each in gc.get_objects():
        if isinstance(each, subprocess.Popen) and each.returncode is None:
            awaited.add(each.pid)
        elif isinstance(each, multiprocessing.process.BaseProcess):
            # Its pid is None until it is started.
            with suppress(Exception):
                awaited.add(each.pid)
    return {pid for pid in awaited if pid is not None}
