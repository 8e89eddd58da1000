"""Find processes that a signal keeps stopped."""

import time
from collections.abc import Callable, Iterable

from batchpool.system.process_tree import is_stopped

LOOK_EVERY_S = 0.5
LOOKS = 10
"""A process is stopped for long if so many looks in a row found it stopped."""


class StoppedProcesses:
    """Watches some processes, and finds those that have been stopped for `LOOKS` looks in a row.

    Looks are counted, not seconds: who was stopped together with this process gets time to go on.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._next_s = 0.0
        self._looks: dict[int, int] = {}

    def find(self, pids: Callable[[], Iterable[int]]) -> list[int]:
        """Those that have been stopped for long; may be called at any rate.

        Args:
            pids: gives the processes to look at; called at most every `LOOK_EVERY_S`.
        """
        now_s = self._clock()
        if now_s < self._next_s:
            return []
        self._next_s = now_s + LOOK_EVERY_S
        self._looks = {pid: self._looks.get(pid, 0) + 1 for pid in pids() if is_stopped(pid)}
        return [pid for pid, looks in self._looks.items() if looks >= LOOKS]
