"""How long the last tasks of a batch took."""

import os
from collections import deque
from collections.abc import Sequence
from statistics import fmean, pstdev

from batchpool.model import Outcome

_RECENT = 64
_UNEVEN_FROM = 0.25
"""A standard deviation of so much of the mean wall time is more than a busy machine adds."""


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
        """Add outcomes, from any thread; a lost one does not matter."""
        last = outcomes[-1]
        if self._elsewhere and last.site.pid == self._pid:
            return
        times = [(o.wall_ns, o.cpu_ns) for o in outcomes if o.state in ("succeeded", "failed")]
        self._last += times
        self.count += len(times)
        self.value = last.value

    def clear(self, elsewhere: bool = False) -> None:
        """Begin anew; `elsewhere`: with tasks of other processes only, which do not share a GIL."""
        self._elsewhere = elsewhere
        self._last.clear()
        self.count = 0

    def mean(self, least: int) -> tuple[float, float] | None:
        """Wall and CPU seconds per task; None while fewer than `least` have ended."""
        last = list(self._last.copy())
        if self.count < least or not last:
            return None
        walls, cpus = zip(*last, strict=True)
        return fmean(walls) / 1e9, fmean(cpus) / 1e9

    @property
    def is_uneven(self) -> bool:
        """Whether tasks differ from each other."""
        last = list(self._last.copy())
        if not last:
            return False
        walls, cpus = zip(*last, strict=True)
        return bool(max(pstdev(walls), pstdev(cpus)) > _UNEVEN_FROM * fmean(walls))

    def alone(self) -> tuple[float, float] | None:
        """The same of a task that nothing else disturbs: its wait is the least that was seen."""
        last = list(self._last.copy())
        if not last:
            return None
        cpu_ns = fmean(cpu for _, cpu in last)
        return (cpu_ns + min(wall - cpu for wall, cpu in last)) / 1e9, cpu_ns / 1e9
