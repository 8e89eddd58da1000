"""The budget of a rate in Redis, which all workers share."""

from contextlib import suppress
from math import inf
from time import monotonic

from redis import Redis
from redis.exceptions import ResponseError

from batchpool.backends.pacing import MOST_LEASED_S, Lease
from batchpool.ledger.broken import Broken, is_about_data
from batchpool.ledger.connection import UNREACHABLE, Commands
from batchpool.ledger.keys import rate_key
from batchpool.ledger.scripts import LuaScript
from batchpool.rates import interval_of, pace_of
from batchpool.tasks.decorator import Task

AHEAD_S = 1.0
"""Tokens are leased so long before their time at most: so many are lost with a worker that dies."""
RETRY_AFTER_S = 0.5
KEPT_S = 10.0


class RedisClock:
    """The time of Redis' clock at a moment of this process' monotonic clock, within bounds.

    An answer was made between its request and its arrival. The answer that came fastest gives the
    narrowest bounds; it counts for some seconds, since clocks drift, and until an answer
    contradicts it, since Redis' clock may be set.
    """

    def __init__(self) -> None:
        self._low_s, self._high_s = -inf, inf
        self._noted_s = -inf

    def note(self, sent_s: float, arrived_s: float, redis_s: float) -> None:
        low_s, high_s = redis_s - arrived_s, redis_s - sent_s
        is_old = arrived_s > self._noted_s + KEPT_S
        is_set = low_s > self._high_s or high_s < self._low_s
        if is_old or is_set or high_s - low_s <= self.unsure_s:
            self._low_s, self._high_s, self._noted_s = low_s, high_s, arrived_s

    def monotonic_at(self, redis_s: float) -> float:
        """The moment by which that time has come for certain."""
        return redis_s - self._low_s

    @property
    def unsure_s(self) -> float:
        """So much earlier it may have come."""
        return self._high_s - self._low_s


class RateBudget:
    """Leases tokens by Redis' clock. While Redis is away there are none.

    Nor are there any while a key of a budget is of a wrong type, until the reconciler has moved it.
    """

    def __init__(self, redis: Redis, task: Task, rate: str) -> None:
        """Args:
        rate: of the job; one that is lower than the task's own has a budget of its own too.
        """
        self._redis: Commands = redis
        self._script = LuaScript(redis, "rate")
        self._clock = RedisClock()
        self._key = _key(task, rate)
        self._spacing_us = pace_of(rate).spacing_s * 1e6
        self._keys = [self._key]
        self._args: list[float | str] = [_us(AHEAD_S), _us(MOST_LEASED_S)]
        if task.rate is not None and (declared := _key(task, task.rate)) != self._key:
            self._keys.append(declared)
            self._args += [declared, pace_of(task.rate).spacing_s * 1e6]

    def lease(self, want: int) -> Lease:
        sent_s = monotonic()
        try:
            tokens, now_us, begin_us = self._script(
                self._key, [self._spacing_us, want, *self._args]
            )
        except UNREACHABLE:
            return Lease(0, monotonic() + RETRY_AFTER_S)
        except ResponseError as refusal:
            if not is_about_data(refusal):
                raise
            with suppress(*UNREACHABLE):
                self._note_broken()
            return Lease(0, monotonic() + RETRY_AFTER_S)
        self._clock.note(sent_s, monotonic(), now_us / 1e6)
        begin_s = self._clock.monotonic_at(begin_us / 1e6)
        return Lease(tokens, begin_s, self._clock.unsure_s)

    def _note_broken(self) -> None:
        for key in self._keys:
            kind = self._redis.type(key).decode()
            if kind not in ("string", "none"):
                Broken(self._redis).note("key", key, b"", f"it is a {kind}, not a string")


def _key(task: Task, rate: str) -> str:
    return rate_key(task.name, _us(interval_of(rate)))


def _us(seconds: float) -> int:
    return round(seconds * 1e6)
