"""The limit of BATCHPOOL_COMPARISON_MAX_S, which holds through steps of Redis' clock."""

from collections.abc import Callable

from batchpool.ledger.values.comparison_entries import ComparisonEntry

LEAST_STEP_S = 10.0
SETTLE_S = 5.0


class TimeLimit:
    """Says whether a comparison takes too long.

    When one began does not change. If it seems to, Redis' clock was set: the reconciler moves the
    time of the beginning along, if it is given a moment.

    Args:
        most_s: the longest that a comparison may take.
        clock: a monotonic one, in seconds.
    """

    def __init__(self, most_s: float, clock: Callable[[], float]) -> None:
        self._most_s = most_s
        self._clock = clock
        self._id = ""
        self._began_s = 0.0
        self._odd_since: float | None = None

    def why_exceeded(self, entry: ComparisonEntry, now_ms: int, left_s: float) -> str | None:
        """Why the comparison cannot end within the limit; None while it can.

        Args:
            now_ms: Redis' clock.
            left_s: what it needs still, as far as that is known.
        """
        needed_s = self._passed_s(entry, now_ms) + left_s
        if needed_s <= self._most_s:
            return None
        return (
            f"it would take about {needed_s:.0f} s; it can take at most {self._most_s:g} s "
            "(BATCHPOOL_COMPARISON_MAX_S)"
        )

    def _passed_s(self, entry: ComparisonEntry, now_ms: int) -> float:
        now_s = self._clock()
        began_s = now_s - (now_ms - (entry.started_ms or now_ms)) / 1000
        is_odd = entry.id == self._id and abs(began_s - self._began_s) > LEAST_STEP_S
        if is_odd and self._odd_since is None:
            self._odd_since = now_s
        if not is_odd or (self._odd_since is not None and now_s - self._odd_since > SETTLE_S):
            self._id, self._began_s, self._odd_since = entry.id, began_s, None
        return now_s - self._began_s
