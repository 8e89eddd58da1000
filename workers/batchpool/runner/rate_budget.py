"""The budget of a rate in Redis, which all workers share."""

from time import monotonic

from redis import Redis

from batchpool.backends.pacing import MOST_LEASED_S, Lease
from batchpool.ledger.connection import UNREACHABLE
from batchpool.ledger.keys import rate_key
from batchpool.ledger.scripts import LuaScript
from batchpool.rates import interval_of
from batchpool.tasks.decorator import Task

AHEAD_S = 1.0
"""Tokens are leased so long before their time at most: so many are lost with a worker that dies."""
RETRY_AFTER_S = 0.5


class RateBudget:
    """Leases tokens by Redis' clock. While Redis is away there are none."""

    def __init__(self, redis: Redis, task: Task, rate: str) -> None:
        """Args:
        rate: of the job; one that is lower than the task's own has a budget of its own too.
        """
        self._script = LuaScript(redis, "rate")
        interval_us = _us(interval_of(rate))
        self._key = rate_key(task.name, interval_us)
        self._args: list[int | str] = [interval_us, _us(AHEAD_S), _us(MOST_LEASED_S)]
        declared_us = 0 if task.rate is None else _us(interval_of(task.rate))
        if declared_us and declared_us != interval_us:
            self._args += [rate_key(task.name, declared_us), declared_us]

    def lease(self, want: int) -> Lease:
        interval_us, *rest = self._args
        try:
            tokens, wait_us = self._script(self._key, [interval_us, want, *rest])
        except UNREACHABLE:
            return Lease(0, monotonic() + RETRY_AFTER_S)
        return Lease(tokens, monotonic() + wait_us / 1e6)


def _us(seconds: float) -> int:
    return round(seconds * 1e6)
