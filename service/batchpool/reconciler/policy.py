"""The reconciler's policy: which actions follow from an observation; pure."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from batchpool.jobs.planning import Requirements, can_run, live_by_class, rank_classes
from batchpool.ledger.keys import base_class
from batchpool.ledger.recovery import Waiting
from batchpool.ledger.values.announcements import LiveWorker, WorkerCapabilities
from batchpool.queue.messages import rq_id

MISSING_S = 1.0
"""A batch that is in no queue for this time was lost between a pop and a claim."""

POPPED_S = 5.0
"""The same for a batch that a worker has popped: a slow worker may be about to claim it."""


class Requeue(NamedTuple):
    """Put the batch back into the queue of its class."""

    batch: Waiting


class Move(NamedTuple):
    """Make the batch, parked or not, wait for another class."""

    batch: Waiting
    class_id: str
    code: str = ""
    """The version of its task there; '' where the class does not say."""


class Park(NamedTuple):
    """Mark the batch as waiting for workers that can run it: no live one can."""

    batch: Waiting
    reason: str


Action = Requeue | Move | Park


@dataclass(frozen=True)
class Observation:
    """The state in Redis as one pass has read it.

    Args:
        now_s: a monotonic clock.
        queued, popped: RQ ids by class: in its queue, and taken from there but not claimed.
        need_of: what the job of that id needs; None when it is gone.
    """

    now_s: float
    waiting: Sequence[Waiting]
    parked: Sequence[Waiting]
    queued: Mapping[str, frozenset[str]]
    popped: Mapping[str, frozenset[str]]
    classes: Sequence[WorkerCapabilities]
    workers: Sequence[LiveWorker]
    need_of: Callable[[str], Requirements | None]


@dataclass
class RequeuePolicy:
    """Decides by how long classes have had no worker and batches have been in no queue."""

    class_gone_s: float
    _gone: dict[str, float] = field(default_factory=dict)
    _missing: dict[Waiting, float] = field(default_factory=dict)

    def decide(self, observed: Observation) -> list[Action]:
        """The actions that follow from this observation and the earlier ones."""
        gone = self._classes_gone(observed)
        missing = self._missing_long(observed)
        placing = _ClassMatcher(observed)
        lost = [batch for batch in missing if batch.queue not in gone]
        # A worker of that class has just refused it.
        strays = {batch: None for batch in lost if not placing.may_wait(batch)}
        return [
            *(self._lost(batch) for batch in lost if batch not in strays),
            *placing.of_stranded(strays),
            *placing.of_stranded(batch for batch in observed.waiting if batch.queue in gone),
            *placing.of_parked(observed.parked),
        ]

    def _lost(self, batch: Waiting) -> Requeue:
        # Its time starts anew, so that it is not put back again before it could be popped.
        del self._missing[batch]
        return Requeue(batch)

    def _classes_gone(self, observed: Observation) -> frozenset[str]:
        live = live_by_class(observed.workers)
        wanted = {batch.queue for batch in observed.waiting} - live.keys()
        self._gone = {name: self._gone.get(name, observed.now_s) for name in wanted}
        # One that its last worker has left for another will not be back in a moment.
        known = {each.id for each in observed.classes}
        left = {name for name in wanted if name == base_class(name) and name not in known}
        return frozenset(
            name
            for name, since in self._gone.items()
            if name in left or observed.now_s - since >= self.class_gone_s
        )

    def _missing_long(self, observed: Observation) -> list[Waiting]:
        missing: dict[Waiting, float] = {}
        long: list[Waiting] = []
        for batch in observed.waiting:
            name = rq_id(batch.job_id, batch.batch)
            if name in observed.queued.get(batch.queue, ()):
                continue
            missing[batch] = since = self._missing.get(batch, observed.now_s)
            limit_s = POPPED_S if name in observed.popped.get(batch.queue, ()) else MISSING_S
            if observed.now_s - since >= limit_s:
                long.append(batch)
        self._missing = missing
        return long


class _ClassMatcher:
    """Finds live classes for batches without one; each kind of requirements once."""

    def __init__(self, observed: Observation) -> None:
        self._observed = observed
        live = live_by_class(observed.workers)
        self._live = [known for known in observed.classes if known.id in live]
        self._chosen: dict[tuple[Requirements, frozenset[str]], Move | None] = {}

    def may_wait(self, batch: Waiting) -> bool:
        """Whether the class that the batch waits for can run it, as far as that is known."""
        need = self._observed.need_of(batch.job_id)
        waits_for = base_class(batch.queue)
        known = [each for each in self._observed.classes if each.id == waits_for]
        return not known or need is None or _fits(known[0], need, batch.unfit)

    def of_stranded(self, batches: Iterable[Waiting]) -> Iterator[Action]:
        """Move or park batches whose class is gone."""
        for batch in batches:
            need = self._observed.need_of(batch.job_id)
            if need is None:
                continue
            yield self._move(batch, need) or Park(batch, self._reason(need))

    def of_parked(self, batches: Iterable[Waiting]) -> Iterator[Action]:
        """Move parked batches that live workers can run now."""
        for batch in batches if self._live else ():
            need = self._observed.need_of(batch.job_id)
            if need is not None and (move := self._move(batch, need)):
                yield move

    def _move(self, batch: Waiting, need: Requirements) -> Move | None:
        key = need, batch.unfit
        if key not in self._chosen:
            fitting = [known for known in self._live if _fits(known, *key)]
            ranked = rank_classes(fitting, self._observed.workers, need)
            self._chosen[key] = _move_to(batch, ranked[0], need.task) if ranked else None
        found = self._chosen[key]
        return found._replace(batch=batch) if found else None

    def _reason(self, need: Requirements) -> str:
        anyhow = replace(need, code=None)
        if need.code and any(can_run(known, anyhow) for known in self._live):
            return (
                f"the code of task {need.task!r} has changed since the job began, and no live "
                "worker has the old one; cancel the job, then retry runs the rest with the new one"
            )
        how = f" with {need.start_method}" if need.start_method else ""
        return f"no live worker can run the task {need.task!r} on {need.backend}{how}"


def _fits(known: WorkerCapabilities, need: Requirements, unfit: frozenset[str]) -> bool:
    return known.id not in unfit and can_run(known, need)


def _move_to(batch: Waiting, known: WorkerCapabilities, task: str) -> Move:
    return Move(batch, known.id, known.tasks[task].code)


@dataclass
class LeaseGracePeriod:
    """Decides when leases may expire: not while live owners had no chance to renew them.

    Args:
        lease_s: how long a lease lasts.
        gap_s: a longer time between two passes means that this process or Redis was away.
    """

    lease_s: float
    gap_s: float
    _run_id: str | None = None
    _last_s: float | None = None
    _until_s: float = 0.0

    def restart(self) -> None:
        """Let one lease pass from the next pass on."""
        self._last_s = None

    def allows(self, now_s: float, run_id: str) -> bool:
        """Whether expired leases may be taken in this pass; call it in each that reached Redis."""
        away = self._last_s is None or now_s - self._last_s > self.gap_s
        if away or run_id != self._run_id:
            self._until_s = now_s + self.lease_s
        self._run_id, self._last_s = run_id, now_s
        return now_s >= self._until_s
