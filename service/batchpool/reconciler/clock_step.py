"""Steps of Redis' clock, seen against the monotonic clock of this process."""

import time
from collections.abc import Callable
from typing import NamedTuple

LEAST_STEP_MS = 10_000


class ClockStep(NamedTuple):
    """Redis' clock was moved by `step_ms`, at most `fresh_ms` ago."""

    step_ms: int
    fresh_ms: int


class ClockWatch:
    """Compares the two clocks at each call of `check`.

    Args:
        redis_ms: reads Redis' clock.
        monotonic: of this process; never set.
    """

    def __init__(
        self, redis_ms: Callable[[], int], monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._redis_ms = redis_ms
        self._monotonic = monotonic
        self._last: tuple[int, float] | None = None

    def check(self) -> ClockStep | None:
        """The step since the last call; None if there was none that counts."""
        now_ms, now_s = self._redis_ms(), self._monotonic()
        last, self._last = self._last, (now_ms, now_s)
        if last is None:
            return None
        passed_ms = int((now_s - last[1]) * 1000)
        step_ms = now_ms - last[0] - passed_ms
        if abs(step_ms) <= LEAST_STEP_MS:
            return None
        return ClockStep(step_ms, passed_ms + 1000)
