"""The rest of an upload, read from its connection by the thread that handles it."""

import select
import socket
import time
from collections.abc import Callable

from batchpool.api.bodies.body_stream import NotWanted
from batchpool.api.problems import Unavailable
from batchpool.api.serving.refusals import too_late

RATE_S = 10.0
LEAST_RATE = 4096
"""Bytes per second of a body, over each span of `RATE_S`."""

MOST_S = 3600.0
"""An upload may take so long: it has a thread and a process."""

_LOOK_MS = 500


class LateBody:
    """Waits for what arrives on a connection, as long as enough arrives.

    Args:
        is_alive: whether the server goes on.

    Attributes:
        is_wanted: whether anybody still waits for it.
    """

    def __init__(self, sock: socket.socket, is_alive: Callable[[], bool]) -> None:
        self._sock = sock
        self._is_alive = is_alive
        self.is_wanted: Callable[[], bool] = lambda: True
        self._deadline = time.monotonic() + MOST_S
        # Only time spent waiting for the client counts: Redis may be slower.
        self._waited_s = 0.0
        self._bytes = 0

    def recv(self, size: int) -> bytes:
        """What arrives next, at least a byte; none when the client has closed.

        Raises:
            Problem: 408 when it is too slow, 503 when the server stops.
            NotWanted: nobody waits for it any more.
            OSError: the connection is broken.
        """
        while True:
            try:
                found = self._sock.recv(size)
            except BlockingIOError:
                self._wait()
            else:
                self._bytes += len(found)
                return found

    def _wait(self) -> None:
        poll = select.poll()
        poll.register(self._sock, select.POLLIN)
        began = time.monotonic()
        poll.poll(_LOOK_MS)
        now = time.monotonic()
        self._waited_s += now - began
        if not self.is_wanted():
            raise NotWanted
        if not self._is_alive():
            raise Unavailable("the service stops; send the request again")
        is_slow = self._waited_s >= RATE_S and self._bytes < LEAST_RATE * self._waited_s
        if is_slow or now > self._deadline:
            raise too_late()
        if self._waited_s >= RATE_S:
            self._waited_s, self._bytes = 0.0, 0
