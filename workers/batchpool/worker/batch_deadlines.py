"""The times that matter while a worker runs a batch."""

import time
from collections.abc import Callable

from batchpool.ledger.ownership import Claim

CHECK_EVERY_S = 0.5
"""How often the lease is renewed, and a cancel or the limit is looked for."""


class BatchDeadlines:
    """A claim with its limit, its next check and the end of a drain, by the monotonic clock here.

    Args:
        claimed_ns: the same clock, when the claim was sent.
        taken: called once, when RQ need not remember the batch any more.
    """

    def __init__(
        self, claim: Claim, claimed_ns: int, grace_s: float, on_claimed: Callable[[], None]
    ) -> None:
        self._grace_s = grace_s
        self._on_claimed: Callable[[], None] | None = on_claimed
        self._drain_ends: float | None = None
        self.claimed(claim, claimed_ns)

    def on_claimed(self) -> None:
        on_claimed, self._on_claimed = self._on_claimed, None
        if on_claimed:
            on_claimed()

    def claimed(self, claim: Claim, claimed_ns: int) -> None:
        self.claim = claim
        self.claimed_ns = claimed_ns
        self.renewed(claim.left_ms)

    def renewed(self, left_ms: int) -> None:
        now = time.monotonic()
        self._limit = now + left_ms / 1000
        self._check_at = now + CHECK_EVERY_S

    def next_check_s(self) -> float:
        now = time.monotonic()
        if now >= self._check_at:
            self._check_at = now + CHECK_EVERY_S
        return max(0.0, min(self._check_at, max(self._limit, now)) - now)

    def is_overdue(self) -> bool:
        return time.monotonic() >= self._limit

    def begin_drain(self) -> bool:
        if self._drain_ends is not None:
            return False
        self._drain_ends = time.monotonic() + self._grace_s
        return True

    def grace_is_over(self) -> bool:
        return self._drain_ends is not None and time.monotonic() >= self._drain_ends
