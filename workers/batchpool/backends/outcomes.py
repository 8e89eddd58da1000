"""Collect the outcomes of a batch: each item's once; final ones go to the sink."""

import threading
from collections.abc import Callable, Iterable, Sequence

from batchpool.execution.record_buffer import RecordBuffer
from batchpool.execution.run_item import Put, Row, make_outcome
from batchpool.execution.stop_flag import StopFlag
from batchpool.model import FailedAttempt, Outcome

Sink = Callable[[Sequence[Outcome]], None]


class OutcomeCollector:
    """Takes outcomes from any thread and passes the final ones to the sink, each item's once.

    A failed item that has attempts left is kept for a retry. With `stop`
    the first final failure sets the stop flag.
    """

    def __init__(
        self, sink: Sink | RecordBuffer, stop_flag: StopFlag, first: int, count: int
    ) -> None:
        self._buffer = sink if isinstance(sink, RecordBuffer) else None
        self._sink = sink.add if isinstance(sink, RecordBuffer) else sink
        self._listener: Sink | None = None
        self._stop_flag = stop_flag
        self._first = first
        self._answered = bytearray(count)
        self._lock = threading.Lock()
        self._tries: dict[int, tuple[FailedAttempt, ...]] = {}
        self._pending_retry: dict[int, Outcome] = {}
        self._attempt = 1
        self._retries = 0
        self._stop = False
        self._simple = True

    def configure(self, retries: int, stop: bool) -> None:
        """Set how often a failed item is tried again, and whether a failure ends the batch."""
        self._retries = retries
        self._stop = stop
        self._simple = not (retries or stop)

    def add_listener(self, listener: Sink) -> None:
        """Call `listener` with each final outcome before the sink."""
        self._listener = listener

    @property
    def put(self) -> Put:
        """Takes the record of an item that ran in this process, where none runs twice.

        Of those that need no judgement only the buffer knows: they do not count as answered.
        """
        if self._buffer is None or not self._simple:
            return self._put_judged
        return self._put_heard if self._listener else self._buffer.put

    def _put_judged(self, row: Row) -> bool:
        self.add((make_outcome(row),))
        return True

    def _put_heard(self, row: Row) -> None:
        assert self._buffer is not None and self._listener is not None
        self._listener((make_outcome(row),))
        self._buffer.put(row)

    def wait_for_sink(self) -> None:
        """Wait while what was put is not taken fast enough."""
        if self._buffer is not None:
            self._buffer.wait()

    def add(self, outcomes: Iterable[Outcome]) -> int:
        """Add outcomes, some of which may have come before; returns how many were new."""
        with self._lock:
            fresh = [o for o in outcomes if not self._answered[o[0] - self._first]]
            for outcome in fresh:
                self._answered[outcome[0] - self._first] = 1
            if self._simple:
                final = fresh
            else:
                final = [o for o in map(self._judge, fresh) if o is not None]
        self._pass_on(final)
        return len(fresh)

    def is_answered(self, index: int) -> bool:
        """Whether the item has an outcome for the current attempt."""
        return self._answered[index - self._first] != 0

    def unanswered(self, indices: Iterable[int]) -> list[int]:
        """Those of `indices` that have no outcome yet, in their order."""
        answered, first = self._answered, self._first
        return [index for index in indices if not answered[index - first]]

    def take_retries(self) -> Sequence[int]:
        """The failed items to be tried again now; they count as unanswered from here on."""
        indices = sorted(self._pending_retry)
        for index, outcome in self._pending_retry.items():
            self._answered[index - self._first] = 0
            self._tries[index] = (*self._tries.get(index, ()), _to_attempt(outcome))
        self._pending_retry.clear()
        self._attempt += 1
        return indices

    @property
    def has_pending_retries(self) -> bool:
        """Whether any failed item waits to be tried again."""
        return bool(self._pending_retry)

    def give_up(self) -> None:
        """Pass on the failed items kept for a retry, which will not come."""
        failed = [self._with_history(outcome) for outcome in self._pending_retry.values()]
        self._pending_retry.clear()
        self._pass_on(failed)

    def _pass_on(self, outcomes: Sequence[Outcome]) -> None:
        if outcomes:
            if self._listener:
                self._listener(outcomes)
            self._sink(outcomes)

    def _judge(self, outcome: Outcome) -> Outcome | None:
        if outcome.state in ("failed", "timeout"):
            if self._attempt <= self._retries:
                self._pending_retry[outcome.index] = outcome
                return None
            if self._stop:
                self._stop_flag.close("failed_fast")
        elif outcome.state == "crashed" and self._stop:
            self._stop_flag.close("failed_fast")
        return self._with_history(outcome)

    def _with_history(self, outcome: Outcome) -> Outcome:
        tries = self._tries.get(outcome.index)
        if not tries:
            return outcome
        return outcome._replace(attempt=len(tries) + 1, tries=tries)


def _to_attempt(outcome: Outcome) -> FailedAttempt:
    assert outcome.error is not None
    return FailedAttempt(error=outcome.error, wall_s=outcome.wall_ns / 1e9)
