"""Notice a process that a task forked: it must not go on as the runner.

The child of `os.fork()` returns from the task like its parent, with the runner's queues, sockets
and mapped files. Whatever it went on to do would be done twice.
"""

import os
import sys
from contextlib import suppress

is_stray = False
"""Whether this process was forked and nobody has adopted it as one that runs tasks."""


def adopt() -> None:
    """Declare this process one of our own; called where our children begin."""
    global is_stray
    is_stray = False


def leave(error: BaseException | None = None) -> None:
    """End a stray process as it would have ended by itself: quietly, or with its exit code."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()
    code: object = 0 if error is None else 1
    if isinstance(error, SystemExit):
        code = error.code or 0
    os._exit(code if isinstance(code, int) else 1)


def _mark() -> None:
    global is_stray
    is_stray = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_mark)
