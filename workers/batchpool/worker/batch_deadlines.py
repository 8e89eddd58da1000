"""The deadlines of the batch that a worker runs."""

import time

CHECK_EVERY_S = 0.5
"""How often the lease is renewed, and the ledger asked for a cancel or an end of the limit."""

LEAST_STEP_S = 10.0
SETTLE_S = 5.0


class BatchDeadlines:
    """The job's limit, the next check of the lease and the end of a drain, on the monotonic clock.

    Args:
        left_ms: what is left of the job's limit.
        grace_s: how long running items may take after a drain began.
    """

    def __init__(self, left_ms: int, grace_s: float) -> None:
        self._grace_s = grace_s
        self._drain_ends: float | None = None
        self._odd_since: float | None = None
        self._limit = time.monotonic() + left_ms / 1000
        self.renew(left_ms)

    def renew(self, left_ms: int) -> None:
        """Take over what the ledger says is left of the limit.

        A limit does not move. One that seems to is Redis' clock, which was set: the reconciler
        moves the deadlines along, if it is given a moment.
        """
        now = time.monotonic()
        limit = now + left_ms / 1000
        if abs(limit - self._limit) <= LEAST_STEP_S:
            self._limit, self._odd_since = limit, None
        elif self._odd_since is None:
            self._odd_since = now
        elif now - self._odd_since > SETTLE_S:
            self._limit, self._odd_since = limit, None
        self._check_at = now + CHECK_EVERY_S

    def next_check_s(self) -> float:
        """Seconds until the next check of the lease, or until the limit."""
        now = time.monotonic()
        if now >= self._check_at:
            self._check_at = now + CHECK_EVERY_S
        return max(0.0, min(self._check_at, max(self._limit, now)) - now)

    def is_overdue(self) -> bool:
        """Whether the job's limit has passed."""
        return time.monotonic() >= self._limit

    def begin_drain(self) -> bool:
        """Start the grace period; False if it was started before."""
        if self._drain_ends is not None:
            return False
        self._drain_ends = time.monotonic() + self._grace_s
        return True

    def grace_is_over(self) -> bool:
        """Whether the grace period of a drain has passed."""
        return self._drain_ends is not None and time.monotonic() >= self._drain_ends
