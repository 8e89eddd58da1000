"""How long the last tasks of a batch took."""

import os
from collections import deque
from collections.abc import Sequence
from statistics import median

from batchpool.model import Outcome

_RECENT = 64


class Timings:
    """How long the last tasks took, as their outcomes say."""

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._last: deque[tuple[int, int]] = deque(maxlen=_RECENT)
        self.count = 0
        self._elsewhere = False
        self.value: object = None
        """What one of the last tasks returned."""

    def add(self, outcomes: Sequence[Outcome]) -> None:
        """Add outcomes, from any thread; a lost one does not matter.

        Of those that come together one stands for all: this runs once per item, or per chunk.
        """
        last = outcomes[-1]
        is_here = self._elsewhere and last.site.pid == self._pid
        if last.state in ("succeeded", "failed") and not is_here:
            self._last.append((last.wall_ns, last.cpu_ns))
            self.value = last.value
            self.count += len(outcomes)

    def clear(self, elsewhere: bool = False) -> None:
        """Begin anew; `elsewhere`: with tasks of other processes only, which do not share a GIL."""
        self._elsewhere = elsewhere
        self._last.clear()
        self.count = 0

    def median(self, least: int) -> tuple[float, float] | None:
        """Wall and CPU seconds of a task; None while fewer than `least` have ended."""
        last = list(self._last.copy())
        if self.count < least or not last:
            return None
        walls, cpus = zip(*last, strict=True)
        return median(walls) / 1e9, median(cpus) / 1e9

    def alone(self) -> tuple[float, float] | None:
        """The same of a task that nothing else disturbs: its wait is the least that was seen."""
        last = list(self._last.copy())
        if not last:
            return None
        cpu_ns = median(cpu for _, cpu in last)
        return (cpu_ns + min(wall - cpu for wall, cpu in last)) / 1e9, cpu_ns / 1e9
