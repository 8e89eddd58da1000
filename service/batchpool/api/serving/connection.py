"""One client's connection, between and during its requests."""

import contextlib
import select
import socket
import struct
import time
from collections.abc import Callable
from typing import Any

from gunicorn.http.parser import RequestParser  # type: ignore[import-untyped]

from batchpool.api.serving.late_body import LEAST_RATE, RATE_S, LateBody
from batchpool.api.serving.outlet import Outlet
from batchpool.api.serving.request_buffer import RequestBuffer

SMALL_BYTES = 64 << 10
"""Requests up to this size are taken in whatever else is being received."""

READ_BYTES = 256 << 10
KEEPALIVE_S = 75.0
HEAD_S = 10.0
"""From the first byte of a request, or the opening of the connection, to the end of its head."""

NEXT_WITHIN_S = 0.002
"""How long a thread waits for the next request of a client that it has just answered."""

LINGER_S = 2.0
"""How long a client may go on sending after a response that closes the connection."""


class _Received:
    """What the parser reads: a request that has arrived, then the end of the stream.

    Args:
        more: reads what is still to come of an upload.
    """

    def __init__(self, data: memoryview, more: Callable[[int], bytes] | None = None) -> None:
        self._data = data
        self._at = 0
        self._more = more

    @property
    def is_spent(self) -> bool:
        return self._more is None and self._at == len(self._data)

    def skip_to(self, at: int) -> memoryview:
        """What follows from `at` on; for the parser it is read."""
        self._at = len(self._data)
        return self._data[at:]

    def recv(self, size: int) -> bytes:
        found = bytes(self._data[self._at : self._at + size])
        if not found and self._more:
            return self._more(size)
        self._at += len(found)
        return found


class Connection:
    """A connection; only one thread touches it at a time."""

    def __init__(
        self, sock: socket.socket, client: Any, server: Any, buffer: Callable[[], RequestBuffer]
    ) -> None:
        sock.setblocking(False)
        self.sock = sock
        self.client = client
        self.server = server
        self.outlet = Outlet(sock)
        self.deadline = 0.0
        self._new_buffer = buffer
        self._served = 0
        self.counted_bytes = 0
        self.keeps_alive = False
        self.body: bytes | memoryview = b""
        self.expect_request(b"")

    def expect_request(self, data: bytes) -> None:
        """Begin a new request, of which `data` has arrived."""
        self.buffer = self._new_buffer()
        now = time.monotonic()
        is_idle = self._served and not data
        self.deadline = now + (KEEPALIVE_S if is_idle else HEAD_S)
        self._mark: tuple[float, int] | None = None
        if data:
            self._feed(data)

    @property
    def is_idle(self) -> bool:
        """Whether nothing of a request has arrived."""
        return len(self.buffer) == 0

    def receive(self) -> bool:
        """Read once; False when the client has closed and there is no request."""
        try:
            data = self.sock.recv(READ_BYTES)
        except BlockingIOError:
            return True
        if not data:
            self.buffer.give_up()
            return not self.is_idle
        if self.is_idle:
            self.deadline = time.monotonic() + HEAD_S
        self._feed(data)
        return True

    def _feed(self, data: bytes) -> None:
        self.buffer.feed(data)
        if self.buffer.wants_continue and not self.buffer.is_complete:
            self.buffer.wants_continue = False
            with contextlib.suppress(OSError):
                self.sock.send(b"HTTP/1.1 100 Continue\r\n\r\n")

    def is_late(self, now: float) -> bool:
        """Whether the client has taken too long over its request, or over sending the next."""
        if not self.buffer.head_bytes:
            return now > self.deadline
        received = len(self.buffer)
        began, had = self._mark or (now, received)
        if self._mark is None:
            self._mark = (now, received)
        if now - began < RATE_S:
            return False
        self._mark = (now, received)
        return received - had < LEAST_RATE * (now - began)

    def take_request(self, cfg: Any, is_alive: Callable[[], bool]) -> RequestParser:
        """A parser of the request that is ready; what came after it is kept.

        Args:
            is_alive: whether what is still to come of it is waited for.
        """
        self.head_bytes = self.buffer.head_bytes
        request, self.rest = self.buffer.take()
        self.late = None if self.buffer.is_complete else LateBody(self.sock, is_alive)
        self.received = _Received(request, self.late.recv if self.late else None)
        self._served += 1
        return RequestParser(cfg, self.received, self.client)

    def read_body(self, request: Any) -> bool:
        """Read the body before the app does; whether all of it has come.

        Malformed chunks raise here, so that no route answers something else to them.
        """
        length = getattr(request.body.reader, "length", None)
        if length is None:
            self.body = request.body.read()
            return True
        self.body = self.received.skip_to(self.head_bytes)
        return bool(len(self.body) == length)

    def begin_next(self) -> bool:
        """Wait for a moment for the next request; whether all of it has come, and it is small.

        What has come of another one is `rest`.
        """
        if self.rest or self.late or self.outlet.waiting or self.counted_bytes:
            return False
        poll = select.poll()
        poll.register(self.sock, select.POLLIN)
        if not poll.poll(NEXT_WITHIN_S * 1000):
            return False
        self.release()
        self.expect_request(b"")
        try:
            if not self.receive():
                return False
        except OSError:
            return False
        if self.buffer.is_ready and len(self.buffer) <= SMALL_BYTES:
            return True
        request, rest = self.buffer.take()
        self.rest = bytes(request) + rest
        return False

    def release(self) -> None:
        """Let go of the request, which has been answered."""
        self.body = b""
        self.received = _Received(memoryview(b""))

    def is_gone(self) -> bool:
        """Whether the client has closed its side."""
        poll = select.poll()
        poll.register(self.sock, _CLOSED)
        return bool(poll.poll(0))

    def cut(self) -> None:
        """Close it so that no client takes what it got for whole.

        In HTTP/1.0 the end of a stream is that of the connection: only a reset is another one.
        """
        self.outlet.waiting.clear()
        with contextlib.suppress(OSError):
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
        self.close()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.sock.close()


_AT_ONCE = struct.pack("ii", 1, 0)
# macOS has no POLLRDHUP; there a client that is gone is seen at the next write.
_CLOSED = getattr(select, "POLLRDHUP", 0) | select.POLLHUP | select.POLLERR
