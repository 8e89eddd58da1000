"""Collect the outcomes of a batch: each item's once; final ones go to the sink."""

import threading
from collections.abc import Callable, Collection, Iterable, Sequence
from heapq import heappop, heappush
from math import inf
from time import monotonic_ns

from batchpool.execution.record_buffer import RecordBuffer
from batchpool.execution.run_item import make_outcome
from batchpool.execution.slot import Put, Row
from batchpool.execution.stop_flag import StopFlag
from batchpool.model import FailedAttempt, Outcome
from batchpool.retry_policy import RetryPolicy

Sink = Callable[[Sequence[Outcome]], None]

BEFORE_LIMIT_NS = 500_000_000
"""So long before the job's limit no failed item waits any more: its last error is written."""
BEGINS_WITHIN_NS = 250_000_000
"""So long after that, one that was handed out by then may begin: it may be behind short ones."""


class OutcomeCollector:
    """Takes outcomes from any thread and passes the final ones to the sink, each item's once.

    A failed item that has attempts left is kept until `take_due` hands it out again. With `stop`
    the first final failure sets the stop flag.

    Attributes:
        may_retry: whether a failed item may come back.
        open: how many items have no final outcome yet, where items may come back.
        changed: set when a failed item begins to wait, and when the last item is final.
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
        self._policy = RetryPolicy()
        self._tries: dict[int, tuple[FailedAttempt, ...]] = {}
        self._waiting: dict[int, Outcome] = {}
        self._due: list[tuple[int, int]] = []
        self._handed_out: dict[int, tuple[int, Outcome]] = {}
        self._find_running: Callable[[], Collection[int]] = frozenset
        self._stop = False
        self._ends_ns: float = inf
        self._simple = True
        self.may_retry = False
        self.open = count
        self.changed = threading.Event()

    def configure(
        self,
        policy: RetryPolicy,
        stop: bool,
        items: int,
        limit_ns: int | None = None,
        find_running: Callable[[], Collection[int]] = frozenset,
    ) -> None:
        """Set when a failed item is tried again, and whether a failure ends the batch.

        Args:
            items: how many will be run.
            limit_ns: the monotonic clock at the job's limit. What would be tried again later than
                `BEFORE_LIMIT_NS` before it fails at once.
            find_running: finds the items that run now.
        """
        self._find_running = find_running
        self._ends_ns = inf if limit_ns is None else limit_ns - BEFORE_LIMIT_NS
        self._policy = policy
        self._stop = stop
        self._simple = not (policy.max or stop)
        self.may_retry = policy.max > 0
        self.open = items

    def add_listener(self, listener: Sink) -> None:
        """Call `listener` with each final outcome before the sink."""
        self._listener = listener

    @property
    def are_final(self) -> bool:
        """Whether what is put goes to the buffer as it is."""
        return self._buffer is not None and self._simple

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
            if self._handed_out:
                # One of an earlier attempt may come a second time, while the next one runs.
                fresh = [o for o in fresh if o.started_ns >= self._handed_out_ns(o[0])]
            for outcome in fresh:
                self._answered[outcome[0] - self._first] = 1
            if self._simple:
                final = fresh
            else:
                final = [o for o in map(self._judge, fresh) if o is not None]
        self._pass_on(final)
        return len(fresh)

    def unanswered(self, indices: Iterable[int], since_ns: int | None = None) -> list[int]:
        """Those of `indices` that have no outcome for the current attempt, in their order.

        Args:
            since_ns: when they were sent; of those that were handed out again after that, another
                place has the current attempt.
        """
        answered, first = self._answered, self._first
        with self._lock:
            found = [index for index in indices if not answered[index - first]]
            if self._handed_out and since_ns is not None:
                found = [index for index in found if self._handed_out_ns(index) <= since_ns]
        return found

    def take_due(self, most: int) -> list[int]:
        """Failed items to be tried again now; they count as unanswered from here on."""
        if not self._due:
            return []
        taken: list[int] = []
        with self._lock:
            now_ns = monotonic_ns()
            while self._due and len(taken) < most and self._due[0][0] <= now_ns:
                index = heappop(self._due)[1]
                self._answered[index - self._first] = 0
                self._handed_out[index] = now_ns, self._waiting.pop(index)
                taken.append(index)
        return taken

    @property
    def waiting(self) -> int:
        """How many failed items wait to be tried again."""
        return len(self._waiting)

    @property
    def next_due_s(self) -> float:
        """How long until a failed item is due; infinity if none waits."""
        with self._lock:
            return (self._due[0][0] - monotonic_ns()) / 1e9 if self._due else inf

    def give_up(self, but: Collection[int] = ()) -> None:
        """Pass on the failed items whose next attempt has no outcome, and needs none any more.

        Args:
            but: those of which this attempt may still end.
        """
        with self._lock:
            failed = list(self._waiting.values())
            self._waiting.clear()
            self._due.clear()
            for index in self._handed_out.keys() - but:
                # What comes of it later counts no more.
                self._answered[index - self._first] = 1
                failed.append(self._handed_out.pop(index)[1])
            final = [self._with_history(outcome) for outcome in failed]
        self._pass_on(final)

    def give_up_at_limit(self) -> None:
        """Do so once the job's limit is near, but for what runs: what the process knows ends."""
        late_ns = monotonic_ns() - self._ends_ns
        if late_ns >= 0 and (self._waiting or self._handed_out):
            may_begin = late_ns < BEGINS_WITHIN_NS
            self.give_up(but=self._handed_out.keys() if may_begin else self._find_running())

    def _pass_on(self, outcomes: Sequence[Outcome]) -> None:
        if outcomes:
            if self._listener:
                self._listener(outcomes)
            self._sink(outcomes)
            self._count_final(len(outcomes))

    def _handed_out_ns(self, index: int) -> int:
        """When a failed item was handed out whose next attempt has no outcome yet; else 0."""
        handed_out = self._handed_out.get(index)
        return 0 if handed_out is None else handed_out[0]

    def _judge(self, outcome: Outcome) -> Outcome | None:
        if before := self._handed_out.pop(outcome.index, None):
            tries = self._tries.get(outcome.index, ())
            self._tries[outcome.index] = (*tries, _to_attempt(before[1]))
        if outcome.state in ("failed", "timeout"):
            attempt = len(self._tries.get(outcome.index, ())) + 1
            if self._is_retried(outcome, attempt):
                due_ns = monotonic_ns() + int(self._policy.wait_s(attempt + 1) * 1e9)
                if due_ns < self._ends_ns:
                    self._waiting[outcome.index] = outcome
                    heappush(self._due, (due_ns, outcome.index))
                    self.changed.set()
                    return None
            if self._stop:
                self._stop_flag.close("failed_fast")
        elif outcome.state == "crashed" and self._stop:
            self._stop_flag.close("failed_fast")
        return self._with_history(outcome)

    def _is_retried(self, outcome: Outcome, attempt: int) -> bool:
        assert outcome.error is not None
        return attempt <= self._policy.max and self._policy.covers(outcome.error["type"])

    def _with_history(self, outcome: Outcome) -> Outcome:
        tries = self._tries.pop(outcome.index, None)
        if not tries:
            return outcome
        return outcome._replace(attempt=len(tries) + 1, tries=tries)

    def _count_final(self, count: int) -> None:
        # After the sink has them: the batch may end when none is open.
        if self.may_retry:
            with self._lock:
                self.open -= count
            if self.open <= 0:
                self.changed.set()


def _to_attempt(outcome: Outcome) -> FailedAttempt:
    assert outcome.error is not None
    return FailedAttempt(error=outcome.error, wall_s=outcome.wall_ns / 1e9)
