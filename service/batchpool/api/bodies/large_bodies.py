"""Large request bodies are handled in processes of their own.

Parsing, checking and packing a body of 64 MB holds the GIL for seconds and needs hundreds of MB. In
the serving process, no other request would be answered meanwhile, and the kernel would kill the
server when memory runs out. An upload takes as long as its client sends; of it only a piece is in
memory at once.
"""

import logging
import select
import subprocess
import sys
import threading
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict
from queue import LifoQueue
from typing import IO, TypeAlias

from flask import Response

from batchpool.api.bodies.body_messages import (
    CUT,
    END,
    PIECE_BYTES,
    read_exactly,
    read_head,
    write_head,
    write_mark,
    write_piece,
)
from batchpool.api.bodies.body_stream import BodyStream, NotWanted
from batchpool.api.problems import Problem, Unavailable
from batchpool.api.settings import ApiSettings
from batchpool.json_value import JsonObject

LOG = logging.getLogger("batchpool.api")

LARGE_BYTES = 1 << 20
"""Bodies up to this size are handled where they arrive: it takes less than 100 ms."""

MEMORY_BYTES = 640 << 20
"""Memory of the process. With the API's own it stays below the 1 GiB of its container."""

MOST_WAITING = 4
"""Large bodies that are taken in for one process; one more is answered 503."""

MOST_UPLOADS = 3
"""Uploads that are read at once, each in a process of its own; one more is answered 503."""


ANSWER_S = 120.0
EXIT_S = 1.0
"""How long a process that no longer answers may take to end, which says what ended it."""
_OF_THE_MESSAGE = ("connection", "content-length", "expect", "transfer-encoding")
Body: TypeAlias = bytes | memoryview | BodyStream


class LargeBodies:
    """Passes large bodies to processes: one for those that have arrived, others for uploads."""

    def __init__(self, settings: ApiSettings) -> None:
        self._whole = _BodyProcesses(settings, 1, MOST_WAITING)
        self._uploads = _BodyProcesses(settings, MOST_UPLOADS, MOST_UPLOADS)

    def post(self, path: str, headers: Iterable[tuple[str, str]], body: Body) -> Response:
        """The response to a POST of `body`, from another process.

        Raises:
            Problem: 413 when it needs too much memory, 503 when too many wait or it has failed;
                what an upload raises while it is read.
        """
        processes = self._uploads if isinstance(body, BodyStream) else self._whole
        return processes.post(path, headers, body)

    def close(self) -> None:
        """End the processes, once each has answered."""
        self._whole.close()
        self._uploads.close()


class _BodyProcesses:
    """Passes bodies to processes, one at a time to each, that are started when they are needed.

    Args:
        count: of the processes, at most.
        places: for bodies that are taken in.
    """

    def __init__(self, settings: ApiSettings, count: int, places: int) -> None:
        self._count = count
        self._most = places
        self._places = threading.BoundedSemaphore(places)
        self._free: LifoQueue[_BodyProcess] = LifoQueue()
        for _ in range(count):
            self._free.put(_BodyProcess(settings))

    def post(self, path: str, headers: Iterable[tuple[str, str]], body: Body) -> Response:
        if not self._places.acquire(blocking=False):
            raise Unavailable(
                f"{self._most} large bodies are being read; send the request again later"
            )
        try:
            process = self._free.get()
            try:
                kept = [header for header in headers if header[0].lower() not in _OF_THE_MESSAGE]
                return process.pass_on({"path": path, "headers": kept}, body)
            finally:
                self._free.put(process)
        finally:
            self._places.release()

    def close(self) -> None:
        for process in [self._free.get() for _ in range(self._count)]:
            process.end()
            self._free.put(process)


class _BodyProcess:
    """A process for bodies, one at a time."""

    def __init__(self, settings: ApiSettings) -> None:
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None

    def pass_on(self, head: JsonObject, body: Body) -> Response:
        """The response to a body, as `LargeBodies.post`."""
        if self._process is not None and self._process.poll() is not None:
            self.end()
        is_new = self._process is None
        process = self._process or self._start()
        assert process.stdin is not None and process.stdout is not None
        try:
            length = None if isinstance(body, BodyStream) else len(body)
            write_head(process.stdin, head | {"body_length": length})
            self._send(process, body)
        except BrokenPipeError as error:
            if is_new or isinstance(body, BodyStream):
                raise self._explain(process, error) from None
            # It has ended since its last answer, and has not read all of this: nothing was ordered.
            self.end()
            return self.pass_on(head, body)
        return self._answer(process)

    def _send(self, process: subprocess.Popen[bytes], body: Body) -> None:
        assert process.stdin is not None and process.stdout is not None
        if not isinstance(body, BodyStream):
            write_piece(process.stdin, body)
            return write_mark(process.stdin, END)
        answers = process.stdout
        if body.late:
            body.late.is_wanted = lambda: not _is_readable(answers, 0)
        try:
            while piece := body.read(PIECE_BYTES):
                if _is_readable(answers, 0):
                    raise NotWanted
                write_piece(process.stdin, piece)
        except NotWanted:
            # It has refused what has come so far.
            return write_mark(process.stdin, CUT)
        except Problem:
            write_mark(process.stdin, CUT)
            # What was taken in is removed by then.
            self._answer(process)
            raise
        write_mark(process.stdin, END)

    def _answer(self, process: subprocess.Popen[bytes]) -> Response:
        assert process.stdout is not None
        try:
            if not _is_readable(process.stdout, ANSWER_S):
                raise TimeoutError
            found, length = read_head(process.stdout)
            answer = read_exactly(process.stdout, length)
        except (OSError, EOFError) as error:
            raise self._explain(process, error) from None
        if found["is_last"]:
            self.end()
        return Response(answer, found["status"], headers=found["headers"])

    def _start(self) -> subprocess.Popen[bytes]:
        # -P: a folder `batchpool` where the server was started must not be run instead.
        command = [sys.executable, "-P", "-m", f"{__package__}.large_body_process"]
        process = subprocess.Popen(  # noqa: S603
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert process.stdin is not None
        write_head(process.stdin, asdict(self._settings))
        self._process = process
        return process

    def _explain(self, process: subprocess.Popen[bytes], error: Exception) -> Problem:
        with suppress(subprocess.TimeoutExpired):
            process.wait(EXIT_S)
        ended = process.poll()
        self.end()
        LOG.warning("large body: %s, process ended with %s", type(error).__name__, ended)
        if ended is not None and ended < 0:
            return too_much_memory()
        return Unavailable(
            "the body could not be read; send the request again, an order with its Idempotency-Key"
        )

    def end(self) -> None:
        """End the process, if there is one."""
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
