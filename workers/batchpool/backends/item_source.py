"""The items of a batch that wait to be run: new ones, and failed ones that are tried again."""

import threading
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from math import inf
from typing import Protocol, runtime_checkable

from batchpool.backends.outcomes import OutcomeCollector
from batchpool.backends.pacing import Pacer
from batchpool.execution.stop_flag import StopFlag

NAP_S = 0.04
"""The longest wait before the stop flag is looked at: a signal handler can wake nobody."""


@runtime_checkable
class ItemsInRedis(Protocol):
    """The items of a batch, which are read as they are needed."""

    def at_hand(self, place: int) -> int:
        """How many items from that place on can be read without waiting."""

    @property
    def pause_s(self) -> float:
        """How long until it makes sense to ask again for one that is not at hand."""


def _never() -> bool:
    return False


class ItemSource(Iterator[int]):
    """Hands out indices to the slots of a batch, from any thread: each once for each attempt.

    Promises: items that were given back come first, then failed ones whose wait is over, then new
    ones in their order. An item that waits for its next attempt takes no slot. Nothing is handed
    out while `paused`.
    """

    def __init__(
        self,
        indices: Sequence[int],
        outcomes: OutcomeCollector,
        stop_flag: StopFlag,
        pacer: Pacer | None = None,
        *,
        is_shared: bool = False,
        has_retries: bool = True,
    ) -> None:
        """Args:
        pacer: says when an item may begin, if there is a rate.
        is_shared: several backends take from it at once.
        has_retries: failed items of the batch come back here.
        """
        self.is_plain = not (is_shared or pacer or (has_retries and outcomes.may_retry))
        self._has_retries = has_retries and outcomes.may_retry
        self._new = indices
        self._pacer = pacer
        self._stored: tuple[ItemsInRedis, int] | None = None
        self._next = 0
        self._again: list[int] = []
        self._outcomes = outcomes
        self._stop_flag = stop_flag
        self._lock = threading.Lock()
        self._turn = threading.Lock()
        self.paused = False

    def hold_back(self, items: ItemsInRedis, first: int) -> None:
        """Hand out no new index whose item would have to be waited for.

        Args:
            first: the index of the first of `items`.
        """
        self._stored = items, first
        self.is_plain = False

    def __len__(self) -> int:
        """How many are to be handed out, now or later."""
        waiting = self._outcomes.waiting if self._has_retries else 0
        return len(self._new) - self._next + len(self._again) + waiting

    def unwrapped(self) -> Iterable[int]:
        """What to iterate over: the indices themselves where no item waits for its time."""
        return self._new if self.is_plain else self

    def __next__(self) -> int:
        index = self.take_one()
        if index is None:
            raise StopIteration
        return index

    @property
    def has_more(self) -> bool:
        """Whether any is to be handed out, now or later."""
        return not self.paused and len(self) > 0

    @property
    def is_over(self) -> bool:
        """Whether none is left, and none that runs can come back."""
        return not len(self) and not (self._has_retries and self._outcomes.open > 0)

    @property
    def has_ready(self) -> bool:
        """Whether one can be taken now."""
        return not self.paused and self._wait_s <= 0

    def pause_s(self, most: float) -> float:
        """How long until one can be taken, at most `most`; that long if one can be taken now."""
        wait_s = self._wait_s
        return most if self.paused or wait_s <= 0 else min(most, wait_s)

    @property
    def must_ask(self) -> bool:
        """Whether `take` would lease tokens of the rate first, which takes a round trip."""
        return self._pacer is not None and self._has_item and self._pacer.must_ask

    def ask(self) -> None:
        """Lease tokens of the rate."""
        if self._pacer is not None:
            self._pacer.refill(len(self))

    def take(self, most: int) -> Sequence[int]:
        """Up to so many that can be taken now."""
        if self.paused:
            return ()
        if self._pacer is not None:
            if self.must_ask:
                self.ask()
            most = self._pacer.take(min(most, len(self))) if self._has_item else 0
            if not most:
                return ()
        with self._lock:
            while self._again:
                # One that was given up meanwhile has its outcome.
                taken = self._outcomes.unanswered(self._again[:most])
                del self._again[:most]
                if taken:
                    return taken
            if self._has_retries and (due := self._outcomes.take_due(most)):
                return due
            start = self._next
            self._next = self._end_of_readable(start, min(len(self._new), start + most))
            return self._new[start : self._next]

    def take_one(self, gives_up: Callable[[], bool] = _never) -> int | None:
        """The next one, waiting for it; None when there will be none, or the caller gives up."""
        if taken := self.take(1):
            return taken[0]
        # One slot looks at the clock, the others wait for their turn.
        with self._turn:
            while not (self._stop_flag.closed or self.paused or gives_up()):
                if taken := self.take(1):
                    return taken[0]
                if self.is_over:
                    return None
                self._outcomes.changed.wait(self.pause_s(NAP_S))
                self._outcomes.changed.clear()
        return None

    def give_back(self, indices: Sequence[int]) -> None:
        """Hand these out again."""
        with self._lock:
            self._again += indices

    def part(self, indices: Sequence[int]) -> "ItemSource":
        """A source of these alone; what fails of them comes back here."""
        return ItemSource(indices, self._outcomes, self._stop_flag, self._pacer, has_retries=False)

    def _end_of_readable(self, start: int, stop: int) -> int:
        """Up to where new items can be read without waiting."""
        if self._stored is None or start == stop:
            return stop
        items, first = self._stored
        index = self._new[start]
        return bisect_left(self._new, index + items.at_hand(index - first), start, stop)

    @property
    def _has_item(self) -> bool:
        return bool(self._again) or self._next < len(self._new) or self._due_s <= 0

    @property
    def _wait_s(self) -> float:
        if not self._has_item:
            return self._due_s
        pace_s = 0.0 if self._pacer is None else self._pacer.pause_s
        if self._stored is None or self._again or self._due_s <= 0:
            return pace_s
        is_readable = self._end_of_readable(self._next, self._next + 1) > self._next
        return pace_s if is_readable else max(pace_s, self._stored[0].pause_s)

    @property
    def _due_s(self) -> float:
        return self._outcomes.next_due_s if self._has_retries else inf
