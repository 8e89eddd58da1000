"""One child process of a local stack: start, log, restart with back-off, stop."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from batchpool.stack.log_lines import split_lines

LAUNCHER = Path(__file__).with_name("die_with_parent.py")

_BACKOFF_FIRST_S = 0.25
_BACKOFF_MOST_S = 10.0
_HEALTHY_AFTER_S = 20.0

LogSink = Callable[[str, str], None]


@dataclass(frozen=True)
class ProcessSpec:
    """Command line, environment and grace period of a process."""

    name: str
    command: Sequence[str]
    environ: Mapping[str, str] = field(default_factory=dict)
    grace_s: float = 5.0
    pass_fds: tuple[int, ...] = ()
    ignore_lines_with: str | None = None
    """Lines that hold this are not logged."""
    stop_signal: signal.Signals = signal.SIGTERM
    """Ends it. If it is another one, SIGTERM does not reach it."""


class ManagedProcess:
    """A process that is restarted when it dies.

    All methods belong to one thread: the kernel's "parent has died" signal is sent when the
    *thread* that started a process ends.
    """

    def __init__(self, spec: ProcessSpec, log: LogSink) -> None:
        self.spec = spec
        self.restarts = 0
        self.tail: deque[str] = deque(maxlen=20)
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None
        self._started = 0.0
        self._start_after = 0.0
        self._delay_s = _BACKOFF_FIRST_S

    @property
    def pid(self) -> int | None:
        """The PID while it runs."""
        return self._process.pid if self._process is not None else None

    def start(self) -> None:
        """Start the process; its output goes to the log, line by line."""
        blocked = "0" if self.spec.stop_signal == signal.SIGTERM else str(int(signal.SIGTERM))
        self._process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-I", str(LAUNCHER), str(os.getpid()), blocked, *self.spec.command],
            env=dict(self.spec.environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=self.spec.pass_fds,
            # A group of its own: Ctrl-C reaches the stack alone, which then ends them in order.
            start_new_session=True,
        )
        self._started = time.monotonic()
        self._reader = threading.Thread(
            target=self._pump, args=(self._process,), name=f"log {self.spec.name}", daemon=True
        )
        self._reader.start()

    def _pump(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        fd = process.stdout.fileno()
        for line in split_lines(lambda: os.read(fd, 1 << 16)):
            if self.spec.ignore_lines_with and self.spec.ignore_lines_with in line:
                continue
            self.tail.append(line)
            self._log(self.spec.name, line)
        process.stdout.close()

    def poll(self) -> str | None:
        """Return once how it ended; None while it runs or waits for its restart."""
        if self._process is None:
            return None
        code = self._process.poll()
        if code is None:
            return None
        self._close()
        lived_s = time.monotonic() - self._started
        self._delay_s = (
            _BACKOFF_FIRST_S
            if lived_s >= _HEALTHY_AFTER_S
            else min(self._delay_s * 2, _BACKOFF_MOST_S)
        )
        self._start_after = time.monotonic() + self._delay_s
        return _ended(code)

    def restart_if_due(self) -> bool:
        """Restart it once its back-off is over; True if it was started."""
        if self._process is not None or time.monotonic() < self._start_after:
            return False
        self.restarts += 1
        self.start()
        return True

    @property
    def pause_s(self) -> float:
        """Remaining back-off before the restart, in seconds."""
        return self._delay_s

    def terminate(self) -> None:
        """Send the signal that ends it."""
        self._signal(self.spec.stop_signal)

    def kill(self) -> None:
        """Kill it and its process group."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is None or self._process.poll() is not None:
            return
        with suppress(ProcessLookupError, PermissionError):
            if number == signal.SIGKILL:
                os.killpg(self._process.pid, number)
            else:
                self._process.send_signal(number)

    def wait(self, deadline: float) -> bool:
        """Wait until it has ended; False if the deadline (monotonic) passed first."""
        if self._process is None:
            return True
        try:
            self._process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            return False
        return True

    def _close(self) -> None:
        self._process = None

    def join_log(self) -> None:
        """Wait for the rest of the log; call it once the process and its children have ended."""
        if self._reader is not None:
            self._reader.join(2.0)


def _ended(code: int) -> str:
    if code < 0:
        with suppress(ValueError):
            return f"was killed by {signal.Signals(-code).name}"
    return f"ended with code {code}"
