"""Large request bodies are handled in a process of their own.

Parsing, checking and packing a body of 64 MB holds the GIL for seconds and needs hundreds of MB. In
the serving process, no other request would be answered meanwhile, and the kernel would kill the
server when memory runs out.
"""

import json
import logging
import select
import struct
import subprocess
import sys
import threading
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict
from typing import IO

from flask import Response

from batchpool.api.problems import Problem, Unavailable
from batchpool.api.settings import ApiSettings
from batchpool.json_value import JsonObject

LOG = logging.getLogger("batchpool.api")

LARGE_BYTES = 1 << 20
"""Bodies up to this size are handled where they arrive: it takes less than 100 ms."""

MEMORY_BYTES = 640 << 20
"""Memory of the process. With the API's own it stays below the 1 GiB of its container."""

MOST_WAITING = 4
"""Large bodies that one process has taken in; one more is answered 503."""

ANSWER_S = 120.0
EXIT_S = 1.0
"""How long a process that no longer answers may take to end, which says what ended it."""
_OF_THE_MESSAGE = ("connection", "content-length", "expect", "transfer-encoding")
_LENGTH = struct.Struct("!I")


def write_message(stream: IO[bytes], head: JsonObject, body: bytes | memoryview) -> None:
    """Write one message: the length of its head, the head as JSON, the body."""
    text = json.dumps(head | {"length": len(body)}).encode()
    stream.write(_LENGTH.pack(len(text)) + text)
    stream.write(body)
    stream.flush()


def read_head(stream: IO[bytes]) -> tuple[JsonObject, int]:
    """The head of the next message, and the length of the body that follows.

    Raises:
        EOFError: the other side has ended.
    """
    (length,) = _LENGTH.unpack(read_exactly(stream, _LENGTH.size))
    head: JsonObject = json.loads(read_exactly(stream, length))
    return head, head.pop("length")


def read_exactly(stream: IO[bytes], length: int) -> bytes:
    """The next `length` bytes.

    Raises:
        EOFError: there are fewer.
    """
    found = stream.read(length)
    if len(found) < length:
        raise EOFError
    return found


class LargeBodies:
    """Passes large bodies, one at a time, to a process that is started when it is needed."""

    def __init__(self, settings: ApiSettings) -> None:
        self._settings = settings
        self._places = threading.BoundedSemaphore(MOST_WAITING)
        self._turn = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def post(
        self, path: str, headers: Iterable[tuple[str, str]], body: bytes | memoryview
    ) -> Response:
        """The response to a POST of `body`, from the other process.

        Raises:
            Problem: 413 when it needs too much memory, 503 when too many wait or it has failed.
        """
        if not self._places.acquire(blocking=False):
            raise Unavailable(
                f"{MOST_WAITING} large bodies are being read; send the request again later"
            )
        try:
            with self._turn:
                kept = [header for header in headers if header[0].lower() not in _OF_THE_MESSAGE]
                return self._pass_on({"path": path, "headers": kept}, body)
        finally:
            self._places.release()

    def close(self) -> None:
        """End the process, if there is one."""
        with self._turn:
            self._end()

    def _pass_on(self, head: JsonObject, body: bytes | memoryview) -> Response:
        if self._process is not None and self._process.poll() is not None:
            self._end()
        is_new = self._process is None
        process = self._process or self._start()
        assert process.stdin is not None and process.stdout is not None
        try:
            write_message(process.stdin, head, body)
        except BrokenPipeError as error:
            if is_new:
                raise self._explain(process, error) from None
            # It has ended since its last answer, and has not read all of this: nothing was ordered.
            self._end()
            return self._pass_on(head, body)
        try:
            if not _is_readable(process.stdout, ANSWER_S):
                raise TimeoutError
            found, length = read_head(process.stdout)
            answer = read_exactly(process.stdout, length)
        except (OSError, EOFError) as error:
            raise self._explain(process, error) from None
        if found["is_last"]:
            self._end()
        return Response(answer, found["status"], headers=found["headers"])

    def _start(self) -> subprocess.Popen[bytes]:
        # -P: a folder `batchpool` where the server was started must not be run instead.
        command = [sys.executable, "-P", "-m", f"{__package__}.large_body_process"]
        process = subprocess.Popen(  # noqa: S603
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert process.stdin is not None
        write_message(process.stdin, asdict(self._settings), b"")
        self._process = process
        return process

    def _explain(self, process: subprocess.Popen[bytes], error: Exception) -> Problem:
        with suppress(subprocess.TimeoutExpired):
            process.wait(EXIT_S)
        ended = process.poll()
        self._end()
        LOG.warning("large body: %s, process ended with %s", type(error).__name__, ended)
        if ended is not None and ended < 0:
            return too_much_memory()
        return Unavailable(
            "the body could not be read; send the request again, an order with its Idempotency-Key"
        )

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None and process.stdout is not None
        process.kill()
        process.wait()
        process.stdout.close()
        try:
            process.stdin.close()
        except BrokenPipeError:
            LOG.debug("the process ended before it had read everything")


def _is_readable(stream: IO[bytes], within_s: float) -> bool:
    # Not select(): with a thousand connections open, descriptors are too large for it.
    poll = select.poll()
    poll.register(stream, select.POLLIN)
    return bool(poll.poll(within_s * 1000))


def too_much_memory() -> Problem:
    """The problem of a body whose values need too much memory."""
    return Problem(
        413,
        "Content too large",
        f"the values in the body take more than {MEMORY_BYTES >> 20} MiB of memory; "
        "send fewer or shorter items, or several jobs",
    )
