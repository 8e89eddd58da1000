"""How many CPUs the tasks of this process and its children use, or would use if they could."""

import contextlib
import os
import time
from collections.abc import Iterable

from batchpool.backends.auto.resizable_threads import queued_s

_LEAST_S = 0.02
"""A shorter time is not conclusive: the kernel counts in ticks of up to 4 ms."""


class CpuDemand:
    """CPU time used, and time spent ready without a CPU, per second since the last look.

    Attributes:
        here: the part of this process in what the last look returned.
    """

    def __init__(self) -> None:
        self._began_s = 0.0
        self.here = 0.0
        self._before: dict[int, float] = {}

    def forget(self) -> None:
        """Begin anew with the next look."""
        self._before.clear()

    def look(self, children: Iterable[int], ready_s: float) -> float | None:
        """The demand in CPUs of this process and these since the last look; None if too soon.

        With other children than at the last look it is too soon as well.

        Args:
            ready_s: for how long threads of this process have been ready without a CPU so far.
        """
        now_s = time.monotonic()
        if self._before and now_s - self._began_s < _LEAST_S:
            return None
        used_s = {os.getpid(): time.process_time() + ready_s}
        for pid in children:
            with contextlib.suppress(OSError):
                used_s[pid] = _used_s(pid) + queued_s(pid, pid)
        before, took_s = self._before, now_s - self._began_s
        self._before, self._began_s = used_s, now_s
        if used_s.keys() != before.keys():
            return None
        self.here = (used_s[os.getpid()] - before[os.getpid()]) / took_s
        return sum(used - before[pid] for pid, used in used_s.items()) / took_s


def _used_s(pid: int) -> float:
    # What clock_getcpuclockid(3) gives: the CPU time of all threads of a process, to the ns.
    return time.clock_gettime((~pid << 3) | 2)
