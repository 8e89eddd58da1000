"""The gunicorn worker: one poller reads requests whole, threads answer them."""

import contextlib
import errno
import logging
import selectors
import socket
import threading
import time
from concurrent.futures import Future
from functools import partial
from typing import Any

from gunicorn.http import wsgi  # type: ignore[import-untyped]
from gunicorn.http.errors import NoMoreData, ParseException  # type: ignore[import-untyped]
from gunicorn.workers import gthread  # type: ignore[import-untyped]

from batchpool.api.bodies.body_stream import LATE_BODY
from batchpool.api.bodies.json_body import WHOLE_BODY, too_large
from batchpool.api.context import CLIENT_IS_GONE, EXTENSION
from batchpool.api.serving.connection import LINGER_S, READ_BYTES, SMALL_BYTES, Connection
from batchpool.api.serving.outlet import SEND_S, STOP_IDLE_S, UNSENT_BYTES
from batchpool.api.serving.refusals import (
    ENDLESS_HEAD,
    INCOMPLETE,
    NO_ROOM,
    TOO_LATE,
    refusal_of,
    response_bytes,
)
from batchpool.api.serving.request_buffer import RequestBuffer

LOG = logging.getLogger("batchpool.api")

SWEEP_S = 0.5


class BufferingWorker(gthread.ThreadWorker):  # type: ignore[misc]
    """A threaded worker in which slow clients take no thread.

    A request gets a thread once all of it has arrived, and gives it back when its response has
    been made; what the client has not taken yet is sent by the poller.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._receiving: dict[Connection, None] = {}  # In the order in which they began to wait.
        self._sending: dict[Connection, float] = {}
        self._lingering: dict[Connection, None] = {}
        self._received_bytes = 0
        self._unsent_bytes = 0
        self._next_sweep = 0.0
        self._stopped_at: float | None = None
        self._waiting = threading.Semaphore(self.cfg.threads // 4)

    @property
    def _app(self) -> Any:
        # While it is still starting there is no app, and nothing that could hold it up.
        app = getattr(self, "wsgi", None)
        return app.extensions[EXTENSION] if app else None

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Have the app's streams and long polls end, then stop."""
        if self.alive and (context := self._app):
            # Deferred to the poll loop: a signal handler must not take the event's lock.
            self.method_queue.defer(context.stopping.set)
        self._stopped_at = self._stopped_at or time.monotonic()
        super().handle_exit(sig, frame)

    def handle_quit(self, sig: int, frame: Any) -> None:
        """Ctrl-C is no reason to cut answers off that are on their way either."""
        self.handle_exit(sig, frame)

    # The poller's thread.

    def accept(self, listener: socket.socket) -> None:
        """Take a new connection, and its request if that has come with it."""
        try:
            sock, client = listener.accept()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                self._make_room()
            return
        self.nr_conns += 1
        if self.nr_conns >= self.worker_connections:
            self._make_room()
        limits = self._app.settings
        buffer = partial(RequestBuffer, limits.max_body_bytes, limits.max_upload_bytes)
        connection = Connection(sock, client, listener.getsockname(), buffer)
        self._receiving[connection] = None
        self.poller.register(sock, selectors.EVENT_READ, partial(self._receive, connection))
        self._receive(connection, sock)

    def _make_room(self) -> None:
        for connection in self._receiving:
            if connection.is_idle:
                return self._drop(connection)

    def _receive(self, connection: Connection, _: Any) -> None:
        try:
            is_open = connection.receive()
        except OSError:
            is_open = False
        if not is_open:
            return self._drop(connection)
        self._pass_on_if_complete(connection)

    def _pass_on_if_complete(self, connection: Connection) -> None:
        size = len(connection.buffer)
        if size > SMALL_BYTES:
            self._received_bytes += size - connection.counted_bytes
            connection.counted_bytes = size
            if self._received_bytes > 2 * self._app.settings.max_body_bytes:
                return self._refuse(connection, NO_ROOM)
        if connection.buffer.is_ready:
            self._forget(connection)
            self.enqueue_req(connection)

    def _forget(self, connection: Connection) -> None:
        self.poller.unregister(connection.sock)
        self._receiving.pop(connection, None)
        self._sending.pop(connection, None)
        self._lingering.pop(connection, None)

    def _drop(self, connection: Connection) -> None:
        self._forget(connection)
        self._release(connection)
        self._unsent_bytes -= len(connection.outlet.waiting)
        self._close(connection)

    def _close(self, connection: Connection) -> None:
        self.nr_conns -= 1
        connection.close()

    def _release(self, connection: Connection) -> None:
        self._received_bytes -= connection.counted_bytes
        connection.counted_bytes = 0

    def _refuse(self, connection: Connection, refusal: bytes) -> None:
        self._forget(connection)
        self._release(connection)
        with contextlib.suppress(OSError):
            connection.sock.send(refusal)
        self._linger(connection)

    def finish_request(self, connection: Connection, future: "Future[bool]") -> None:
        """Go on with a connection whose response has been made."""
        self._release(connection)
        connection.release()
        connection.keeps_alive = not future.cancelled() and bool(future.result())
        unsent = len(connection.outlet.waiting)
        if not unsent:
            return self._go_on(connection)
        if self._unsent_bytes + unsent > UNSENT_BYTES:
            return self._close(connection)
        self._unsent_bytes += unsent
        self._sending[connection] = time.monotonic()
        send = partial(self._send, connection)
        self.poller.register(connection.sock, selectors.EVENT_WRITE, send)

    def _send(self, connection: Connection, _: Any) -> None:
        try:
            sent = connection.outlet.send_some()
        except OSError:
            return self._drop(connection)
        self._unsent_bytes -= sent
        self._sending[connection] = time.monotonic()
        if not connection.outlet.waiting:
            self._forget(connection)
            self._go_on(connection)

    def _go_on(self, connection: Connection) -> None:
        if not connection.keeps_alive:
            return self._linger(connection)
        try:
            connection.expect_request(connection.rest)
            self._receiving[connection] = None
            receive = partial(self._receive, connection)
            self.poller.register(connection.sock, selectors.EVENT_READ, receive)
        except (OSError, ValueError):
            return self._close(connection)
        self._pass_on_if_complete(connection)

    def _linger(self, connection: Connection) -> None:
        # Closed at once, what the client still sends would have the kernel throw away the response.
        try:
            connection.sock.shutdown(socket.SHUT_WR)
            drain = partial(self._drain, connection)
            self.poller.register(connection.sock, selectors.EVENT_READ, drain)
        except OSError:
            return self._close(connection)
        connection.deadline = time.monotonic() + LINGER_S
        self._lingering[connection] = None

    def _drain(self, connection: Connection, _: Any) -> None:
        try:
            is_open = bool(connection.sock.recv(READ_BYTES))
        except OSError as error:
            is_open = isinstance(error, BlockingIOError)
        if not is_open:
            self._drop(connection)

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """Wait for what happens on connections, for a shorter time when the worker must stop."""
        super().wait_for_and_dispatch_events(timeout if self.alive else min(timeout, 0.1))

    def murder_keepalived(self, force: bool = False) -> None:
        """Close the connections whose time is over; gunicorn calls it in each turn of its loop."""
        now = time.monotonic()
        if now < self._next_sweep and not force:
            return
        self._next_sweep = now + SWEEP_S
        for connection in [one for one in self._lingering if force or now > one.deadline]:
            self._drop(connection)
        for connection in [one for one, since in self._sending.items() if now > since + SEND_S]:
            self._drop(connection)
        for connection in [one for one in self._receiving if one.is_late(now)]:
            if connection.is_idle:
                self._drop(connection)
            else:
                self._refuse(connection, TOO_LATE)
        if self._stopped_at and (force or now > self._stopped_at + STOP_IDLE_S):
            idle = [one for one in self._receiving if force or one.is_idle]
            for connection in [*idle, *self._lingering]:
                self._drop(connection)

    # The threads of requests.

    def handle(self, connection: Connection) -> bool:
        """Answer the request, and those that follow it at once; whether others may follow later."""
        while self._handle_one(connection):
            if not self._begin_next(connection):
                return True
        return False

    def _begin_next(self, connection: Connection) -> bool:
        """Wait for a next request, which spares it the way from the poller to a thread."""
        # Not in many threads at a time: other clients may need one.
        if not self.alive or not self._waiting.acquire(blocking=False):
            return False
        try:
            return connection.begin_next()
        finally:
            self._waiting.release()

    def _handle_one(self, connection: Connection) -> bool:
        """Answer the request; whether the connection may be used for another one."""
        buffer = connection.buffer
        parser = connection.take_request(self.cfg, lambda: self.alive)
        path = ""
        try:
            request = next(parser)
            path = request.path
            if buffer.is_too_long:
                connection.outlet.answer(response_bytes(too_large(*buffer.limit), path))
            elif buffer.is_complete and (not connection.read_body(request) or buffer.must_close):
                # What the parser takes, but whose end was not found: a line over its limit.
                connection.outlet.answer(INCOMPLETE)
            else:
                keeps_alive = self._respond(request, connection)
                # Where the parser found another end of the request than the buffer, it is not
                # known where the next one begins.
                return keeps_alive and connection.received.is_spent
        except (NoMoreData, StopIteration):
            connection.outlet.answer(ENDLESS_HEAD if buffer.has_endless_head else INCOMPLETE)
        except ParseException as error:
            LOG.info("refused a request: %s", error)
            connection.outlet.answer(response_bytes(refusal_of(error), path))
        except OSError as error:
            LOG.debug("client gone: %s", error)
            connection.cut()
        except Exception:
            LOG.exception("a response failed after it had begun")
            connection.cut()
        return False

    def _respond(self, request: Any, connection: Connection) -> bool:
        outlet = connection.outlet
        outlet.waiting.clear()
        outlet.is_stream = False
        response, environ = wsgi.create(
            request, outlet, connection.client, connection.server, self.cfg
        )
        environ |= {"wsgi.multithread": True, CLIENT_IS_GONE: connection.is_gone}
        environ[LATE_BODY] = connection.late
        environ[WHOLE_BODY] = None if connection.late else connection.body
        if connection.late or not self.alive:
            response.force_close()
        pieces = self.wsgi(environ, response.start_response)
        try:
            outlet.is_stream = response.response_length is None
            for piece in pieces:
                response.write(piece)
            response.close()
        finally:
            if hasattr(pieces, "close"):
                pieces.close()
        outlet.send_some()
        return not response.should_close()
