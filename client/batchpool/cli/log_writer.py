"""Write log lines to a file descriptor whose reader may be slow, stopped or gone."""

import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable

MAX_PENDING_CHARS = 1 << 20
_CLOSE_WITHIN_S = 1.0
_POLL_MS = 100
# A pipe that says it is writable takes this many bytes without blocking (POSIX).
_PIPE_BUF = 4096


class LogWriter:
    """Takes lines from any thread without blocking, and writes them from a thread of its own.

    Lines that come faster than they are read are dropped beyond `MAX_PENDING_CHARS`, and counted:
    the log says how many once there is room again. When the reader is gone all are dropped.
    """

    def __init__(self, fd: int, render: Callable[[str, str], str]) -> None:
        """Args:
        fd: where to write; it is not closed.
        render: the text of one line of a process, called in the writing thread.
        """
        self._fd = fd
        self._render = render
        self._pending: deque[tuple[str, str]] = deque()
        self._pending_chars = 0
        self._dropped = 0
        self._closing_at: float | None = None
        self._is_gone = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="log writer", daemon=True)
        self._thread.start()

    def __call__(self, name: str, line: str) -> None:
        """Queue a line of the process `name`."""
        with self._changed:
            if self._is_gone or self._pending_chars + len(line) > MAX_PENDING_CHARS:
                self._dropped += 1
                return
            self._pending.append((name, line))
            self._pending_chars += len(line)
            self._changed.notify()

    def close(self) -> None:
        """Write what is pending, for at most a second."""
        with self._changed:
            self._closing_at = time.monotonic() + _CLOSE_WITHIN_S
            self._changed.notify()
        self._thread.join(_CLOSE_WITHIN_S + 0.5)

    def _run(self) -> None:
        while (line := self._next()) is not None:
            try:
                self._write(self._render(*line).encode("utf-8", "replace"))
            except OSError:
                self._give_up()

    def _next(self) -> tuple[str, str] | None:
        with self._changed:
            while not self._pending and not self._dropped and self._closing_at is None:
                self._changed.wait()
            if self._is_late():
                return None
            if self._pending:
                name, line = self._pending.popleft()
                self._pending_chars -= len(line)
                return name, line
            if self._dropped and not self._is_gone:
                dropped, self._dropped = self._dropped, 0
                return "stack", f"{dropped:,} log lines were dropped: nobody read them fast enough"
            return None

    def _write(self, data: bytes) -> None:
        left = memoryview(data)
        poll = select.poll()
        poll.register(self._fd, select.POLLOUT)
        while left:
            if poll.poll(_POLL_MS):
                left = left[os.write(self._fd, left[:_PIPE_BUF]) :]
            elif self._is_late():
                return

    def _is_late(self) -> bool:
        return self._closing_at is not None and time.monotonic() > self._closing_at

    def _give_up(self) -> None:
        with self._changed:
            self._is_gone = True
            self._pending.clear()
            self._pending_chars = 0
