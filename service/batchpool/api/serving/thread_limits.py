"""Limits on the threads that block, over all processes of one server."""

import fcntl
import os
import tempfile
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

from batchpool.api.settings import ApiSettings


class ThreadLimit:
    """A limit on the threads that may block at once.

    Made before the server forks. Each place is a byte of a file, locked by the process that has it,
    so that the kernel frees the places of a process that is killed.
    """

    def __init__(self, count: int) -> None:
        self._fd, name = tempfile.mkstemp(prefix="batchpool-limit-")
        os.unlink(name)
        weakref.finalize(self, os.close, self._fd)
        self._lock = threading.Lock()
        self._taken: list[int] = []
        self._left = list(range(count))
        """Not taken by a thread of this process."""

    def acquire(self) -> bool:
        """Take a place if one is free; the caller must `release` it."""
        with self._lock:
            for place in self._left:
                try:
                    fcntl.lockf(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
                except OSError:
                    continue  # Another process has it.
                self._left.remove(place)
                self._taken.append(place)
                return True
        return False

    def release(self) -> None:
        with self._lock:
            place = self._taken.pop()
            fcntl.lockf(self._fd, fcntl.LOCK_UN, 1, place)
            self._left.insert(0, place)

    @contextmanager
    def acquired(self, wanted: bool = True) -> Iterator[bool]:
        """Take a place for a `with`, if one is wanted; yields whether one was free."""
        taken = wanted and self.acquire()
        try:
            yield taken
        finally:
            if taken:
                self.release()


@dataclass(frozen=True)
class ThreadLimits:
    """The limits of one server: event streams, downloads and long polls."""

    streams: ThreadLimit
    downloads: ThreadLimit
    waits: ThreadLimit

    @classmethod
    def of(cls, settings: ApiSettings) -> Self:
        return cls(
            streams=ThreadLimit(settings.max_event_streams),
            downloads=ThreadLimit(settings.max_downloads),
            waits=ThreadLimit(settings.max_waits),
        )
