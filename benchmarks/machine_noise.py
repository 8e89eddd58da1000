"""CPU use of other programs during a measurement, and waiting until they are idle."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import psutil

QUIET = 0.10
"""The share of all CPUs that others may take of a measurement that counts as undisturbed."""
_POLL_S = 0.25


@dataclass
class Neighbours:
    """Records the CPU use of other programs; waits for them at most `retry_for_s` in all."""

    retry_for_s: float
    shares: list[float] = field(default_factory=list)

    def wait_for_quiet(self) -> None:
        """Wait until no other program is busy, or the time for waiting is used up."""
        while self.retry_for_s > 0:
            started = time.monotonic()
            with self.watched():
                time.sleep(_POLL_S)
            quiet = self.shares.pop() <= QUIET
            self.retry_for_s -= time.monotonic() - started
            if quiet:
                return

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Record the share of the CPUs that others used during the block."""
        everybody, ours, started = _busy_s(), _own_s(), time.monotonic()
        yield
        others = (_busy_s() - everybody) - (_own_s() - ours)
        capacity = (time.monotonic() - started) * (psutil.cpu_count() or 1)
        self.shares.append(min(1.0, max(0.0, others / capacity)))

    @property
    def last_was_quiet(self) -> bool:
        return self.shares[-1] <= QUIET


def _busy_s() -> float:
    # Stolen time is used by others too, on the host of this virtual machine.
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - getattr(times, "iowait", 0.0) - _guest(times))


def _guest(times: object) -> float:
    # Contained in `user` already.
    return float(getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0))


def _own_s() -> float:
    return tree_cpu_s(psutil.Process())


def tree_cpu_s(root: psutil.Process) -> float:
    """CPU time of a process and all below it, with that of those that have ended."""
    # A child that has ended is in its parent's children_*, once it was waited for.
    total = 0.0
    for process in [root, *root.children(recursive=True)]:
        with suppress(psutil.Error):
            total += sum(process.cpu_times()[:4])
    return total
