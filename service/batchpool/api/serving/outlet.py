"""What is sent on a connection: at once, or later by the poller, but never without a limit."""

import contextlib
import select
import socket

SEND_S = 20.0
"""A client that takes nothing for so long is gone."""

STOP_IDLE_S = 0.5
"""How long a stopping worker keeps idle connections, for a request that is on its way."""

UNSENT_BYTES = 64 << 20
"""Responses that wait for their clients, together."""


class Outlet:
    """Stands in for the socket where gunicorn writes a response.

    A response of known length is sent as far as the socket takes it, and the rest is kept for the
    poller: no thread waits for the client. A stream waits, with a limit.
    """

    def __init__(self, sock: socket.socket, limit_s: float = SEND_S) -> None:
        self._sock = sock
        self._limit_s = limit_s
        self.waiting = bytearray()
        self.is_stream = False

    def sendall(self, data: bytes) -> None:
        """Take `data`; of a stream, send it.

        Raises:
            TimeoutError: the client has taken nothing of it within the limit.
        """
        self.waiting += data
        if self.is_stream:
            while self.waiting:
                if not self.send_some():
                    self._wait()

    send = sendall

    def send_some(self) -> int:
        """Send what the socket takes without waiting; how much that was."""
        total = 0
        while self.waiting:
            try:
                sent = self._sock.send(self.waiting)
            except BlockingIOError:
                break
            del self.waiting[:sent]
            total += sent
        return total

    def answer(self, response: bytes) -> None:
        """Send a whole response instead of what waits, as far as the socket takes it."""
        self.waiting[:] = response
        with contextlib.suppress(OSError):
            self.send_some()

    def _wait(self) -> None:
        poll = select.poll()
        poll.register(self._sock, select.POLLOUT)
        if not poll.poll(self._limit_s * 1000):
            raise TimeoutError("the client does not read")
