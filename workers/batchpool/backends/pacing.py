"""Begin items no faster than a rate allows."""

import threading
from collections.abc import Callable
from math import ceil
from time import monotonic
from typing import NamedTuple, Protocol

from batchpool.rates import Pace

MOST_LEASED_S = 0.5
"""A lease has tokens for so long at most, or one."""


class Lease(NamedTuple):
    """Tokens, each good for the begin of one item.

    Args:
        tokens: how many; they are the spacing of the pace apart.
        begin_s: the monotonic clock at the first one; of no token, when to ask again.
        unsure_s: so much earlier the time of a token may have been by the clock of the budget.
    """

    tokens: int
    begin_s: float
    unsure_s: float = 0.0


class Budget(Protocol):
    """The tokens of a rate, which all that run items of a task share."""

    def lease(self, want: int) -> Lease:
        """Lease up to so many tokens."""


class LocalBudget:
    """The budget of one batch without others."""

    def __init__(self, spacing_s: float) -> None:
        self._spacing_s = spacing_s
        self._free_s = 0.0

    def lease(self, want: int) -> Lease:
        begin_s = max(monotonic(), self._free_s)
        self._free_s = begin_s + want * self._spacing_s
        return Lease(want, begin_s)


class Pacer:
    """Hands out leased tokens at their time; those that are not used then lapse.

    A lease is about as large as what was used of the last one, so that few lapse.

    Args:
        clock: a monotonic clock in seconds, that of the leases.
    """

    def __init__(self, budget: Budget, pace: Pace, clock: Callable[[], float] = monotonic) -> None:
        self._budget = budget
        self._clock = clock
        self._spacing_s = pace.spacing_s
        self._most_late_s = self._late_s = pace.late_s
        self._most = max(1, int(MOST_LEASED_S / pace.spacing_s))
        self._lock = threading.Lock()
        self._left = 0
        self._first_s = 0.0
        self._ask_s = 0.0
        self._used = 0
        self._lapsed = 0

    def refill(self, items: int) -> None:
        """Lease tokens for so many items, if there are none and it is time to ask."""
        with self._lock:
            now_s = self._clock()
            self._drop_late(now_s)
            if not self._left and now_s >= self._ask_s:
                grown = 0 if self._lapsed else 1 + self._used // 8
                want = max(1, min(self._used + grown, self._most, items))
                self._used = self._lapsed = 0
                lease = self._budget.lease(want)
                self._left, self._first_s = lease.tokens, lease.begin_s
                # Where no answer of the budget comes in time, some tokens are used nevertheless.
                self._late_s = max(self._most_late_s - lease.unsure_s, self._most_late_s / 2)
                self._ask_s = 0.0 if lease.tokens else lease.begin_s

    def take(self, most: int) -> int:
        """Use up to so many tokens whose time has come; returns how many."""
        with self._lock:
            # One look at the clock: what is due by a later one may be too late by this one.
            now_s = self._clock()
            self._drop_late(now_s)
            if not self._left or now_s < self._first_s:
                return 0
            due = int((now_s - self._first_s) / self._spacing_s) + 1
            taken = min(most, due, self._left)
            self._left -= taken
            self._first_s += taken * self._spacing_s
            self._used += taken
            return taken

    @property
    def pause_s(self) -> float:
        """How long until a token can be used, or asked for; 0 if it can now."""
        return max(0.0, (self._first_s if self._left else self._ask_s) - self._clock())

    @property
    def must_ask(self) -> bool:
        """Whether tokens must be leased, and may be now."""
        return not self._left and self._clock() >= self._ask_s

    def _drop_late(self, now_s: float) -> None:
        late = ceil((now_s - self._late_s - self._first_s) / self._spacing_s)
        if self._left and late > 0:
            lapsed = min(late, self._left)
            self._left -= lapsed
            self._lapsed += lapsed
            self._first_s += lapsed * self._spacing_s
