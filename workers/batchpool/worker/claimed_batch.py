"""The batch that a worker runs: the only owner of its claim."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import islice
from json import dumps

from batchpool.ledger.ownership import Claim
from batchpool.model import Outcome
from batchpool.runner.protocol import Assignment
from batchpool.worker.batch_deadlines import BatchDeadlines
from batchpool.worker.crash_isolation import CrashIsolation, Plan

MOST_ANNOUNCED = 1000
_NONE: frozenset[int] = frozenset()


class ClaimedBatch:
    """Turns a claim into assignments for the runner, until all items are recorded.

    Attributes:
        claim: the current one; it changes after a crash, and as items are recorded.
        deadlines: of this claim.
        announced: what the ledger knows to be in flight, as JSON.
        may_try_again: whether a fresh runner may begin it again when this one ran no item.

    Args:
        claimed_ns: the machine's monotonic clock when the claim was sent.
    """

    def __init__(self, claim: Claim, claimed_ns: int, grace_s: float) -> None:
        self.claim = claim
        self.announced = "[]"
        self.may_try_again = True
        self.deadlines = BatchDeadlines(claim.left_ms, grace_s)
        self._claimed_ns = claimed_ns
        late = claim.in_flight - claim.done
        self._isolation = CrashIsolation(late if len(claim.done | late) < claim.count else _NONE)
        self._plan = Plan()
        self._finished: dict[int, Outcome] = {}

    def next_assignment(self) -> Assignment:
        """The part of the batch that the runner is to run now."""
        finished = self.unrecorded()
        plan = self._plan = self._isolation.plan(self.claim.done | self._finished.keys())
        return Assignment(
            self.claim, self._claimed_ns, plan.skip, plan.only, plan.crashed, plan.close, finished
        )

    def keep(self, finished: Iterable[Outcome]) -> None:
        """Keep records that a runner made before it died, until the next one has written them."""
        claim = self.claim
        own = range(claim.first, claim.first + claim.count)
        self._finished |= {each.index: each for each in finished if each.index in own}

    def forget_kept(self) -> None:
        """Keep those records no longer: they were written, or could not be."""
        self._finished.clear()

    def note_recorded(self, done: frozenset[int]) -> None:
        """Take over what the ledger has by now."""
        self.claim = replace(self.claim, done=done)

    def unrecorded(self) -> tuple[Outcome, ...]:
        """Those of the kept records that the ledger has not."""
        for index in self._finished.keys() & self.claim.done:
            del self._finished[index]
        return tuple(self._finished.values())

    def in_flight(self, running: Iterable[int]) -> str:
        """What another worker is to run last if this one dies, as JSON.

        Args:
            running: what runs now, oldest first.
        """
        return dumps(sorted({*islice(running, MOST_ANNOUNCED), *self._isolation.put_off}))

    def mark_run(self) -> None:
        """Count the items of the last assignment as recorded."""
        claim = self.claim
        everything = frozenset(range(claim.first, claim.first + claim.count))
        ran = everything - self._plan.skip if self._plan.only is None else self._plan.only
        self._isolation.ran(self._plan)
        self.claim = replace(claim, done=claim.done | ran | self._finished.keys())

    def mark_crashed(self, in_flight: frozenset[int], pid: int, how: str, log: str = "") -> bool:
        """Record that the runner died; returns whether an item can be blamed or suspected."""
        blamed = in_flight - self.claim.done - self._finished.keys()
        return self._isolation.died(self._plan, blamed, pid, how, log)

    def renew(self, claim: Claim, claimed_ns: int) -> None:
        """Continue under a new claim, after a crash."""
        self.claim = claim
        self._claimed_ns = claimed_ns
        self.deadlines.renew(claim.left_ms)
