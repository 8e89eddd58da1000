"""Handle POSTs that arrive on stdin until it is closed: `python -m` this module."""

import contextlib
import gc
import os
import resource
import select
import signal
import sys
import threading
from pathlib import Path
from typing import IO

import psutil
from flask import Flask, Response
from werkzeug.test import create_environ

from batchpool.api.app import create_app
from batchpool.api.bodies.body_messages import PieceReader, read_head, write_head
from batchpool.api.bodies.large_bodies import MEMORY_BYTES
from batchpool.api.settings import ApiSettings
from batchpool.ledger.connection import connect

KEPT_BYTES = 256 << 20
"""With more memory in use after an answer, the process asks to be replaced."""


def main() -> None:
    # Stop signals are for the server; this process ends when its input does.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    _limit_memory()
    # Nothing that is written to stdout by mistake may come between the messages.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    requests = sys.stdin.buffer
    threading.Thread(target=_exit_when_closed, args=(requests,), daemon=True).start()
    with contextlib.suppress(EOFError, BrokenPipeError):
        settings = ApiSettings(**read_head(requests)[0])
        app = create_app(
            settings,
            connect(settings.redis_url, socket_timeout_s=settings.redis_timeout_s),
            connect(settings.redis_url, socket_timeout_s=settings.submit_timeout_s),
        )
        gc.freeze()
        while True:
            _answer(app, answers, requests)
            gc.collect()


def _answer(app: Flask, answers: IO[bytes], requests: IO[bytes]) -> None:
    head, _ = read_head(requests)
    # Read by the app from the pipe, since each copy of the body may have 64 MB.
    body = PieceReader(requests)
    environ = create_environ(head["path"], method="POST", headers=head["headers"])
    environ["wsgi.input"] = body
    environ.pop("CONTENT_LENGTH", None)
    if head["body_length"] is not None:
        environ["CONTENT_LENGTH"] = str(head["body_length"])
    response = Response.from_app(app, environ, buffered=True)
    found = {
        "status": response.status_code,
        "headers": list(response.headers.items()),
        "is_last": psutil.Process().memory_info().rss > KEPT_BYTES,
    }
    write_head(answers, found, len(response.data))
    answers.write(response.data)
    answers.flush()
    # It may have been refused by its beginning; then the server sends no more of it.
    body.exhaust()


def _limit_memory() -> None:
    # If memory runs out nevertheless, the kernel should kill this process, not the server.
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))


def _exit_when_closed(requests: IO[bytes]) -> None:
    poll = select.poll()
    poll.register(requests, 0)
    poll.poll()
    os._exit(0)


if __name__ == "__main__":
    main()
