"""Steps of Redis' clock, seen against a clock of this machine that is never set."""

import time
from collections.abc import Callable
from typing import NamedTuple

from batchpool.ledger.recovery import ClockReading

LEAST_STEP_MS = 10_000
"""Deadlines follow what is more; the ledger's scripts trust in a limit for as long."""
MOST_READ_S = 4.0
"""A reading that took longer says too little: two of them must not look like a step."""
_BOOT = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def boot_clock() -> float:
    """Seconds by a clock that is never set, and that goes on while this machine is suspended."""
    return time.clock_gettime(_BOOT)


class ClockStep(NamedTuple):
    """Redis' clock was moved by `step_ms`, at most `fresh_ms` ago.

    A small one is followed by no deadline, but may make leases of live owners look expired.
    """

    step_ms: int
    fresh_ms: int
    reading: ClockReading
    read_s: tuple[float, float]
    is_small: bool


class ClockWatch:
    """Compares the two clocks at each call of `check`.

    Args:
        read: reads Redis' clock.
        lease_s: how long a lease lasts; a step forward by more than a quarter of it counts.
        clock: of this machine, in seconds; never set.
    """

    def __init__(
        self,
        read: Callable[[], ClockReading],
        lease_s: float,
        clock: Callable[[], float] = boot_clock,
    ) -> None:
        self._read = read
        self._lease_s = lease_s
        self._clock = clock
        self._last: tuple[ClockReading, tuple[float, float]] | None = None

    @property
    def trusted_until_ms(self) -> int:
        """Redis' clock can be later only after a step that was not accepted yet, or much time."""
        return self._last[0].now_ms + LEAST_STEP_MS if self._last else 0

    def check(self) -> ClockStep | None:
        """The step since the last check that found none, or whose step was accepted."""
        before_s = self._clock()
        reading = self._read()
        read_s = before_s, self._clock()
        if read_s[1] - read_s[0] > MOST_READ_S:
            return None
        step = self._step_to(reading, read_s)
        if step is None:
            self._last = reading, read_s
        return step

    def accept(self, step: ClockStep) -> None:
        """Note that the step was followed."""
        reading = step.reading
        if not step.is_small:
            reading = reading._replace(moved_ms=(reading.moved_ms or 0) + step.step_ms)
        self._last = reading, step.read_s

    def _step_to(self, reading: ClockReading, read_s: tuple[float, float]) -> ClockStep | None:
        if self._last is None:
            return None
        last, last_s = self._last
        passed_ms = int((read_s[1] - last_s[1]) * 1000)
        step_ms = reading.now_ms - last.now_ms - passed_ms
        if reading.moved_ms is not None:
            # Other reconcilers have followed so much of it.
            step_ms -= reading.moved_ms - (last.moved_ms or 0)
        unsure_s = read_s[1] - read_s[0] + last_s[1] - last_s[0]
        is_small = abs(step_ms) <= LEAST_STEP_MS
        if is_small and step_ms <= (self._lease_s / 4 + unsure_s) * 1000:
            return None
        return ClockStep(step_ms, passed_ms + 1000, reading, read_s, is_small)
