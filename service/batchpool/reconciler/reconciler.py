"""One pass of the reconciler: read the state in Redis, act on it."""

import logging
from collections.abc import Callable, Iterable

from redis import Redis
from redis.exceptions import ResponseError

from batchpool.comparisons.readability import quarantine_of
from batchpool.jobs.planning import Requirements, superseded_classes
from batchpool.ledger.broken import is_about_data
from batchpool.ledger.failpoints import failpoint
from batchpool.ledger.jobs import Jobs
from batchpool.ledger.presence import SAMPLE_EVERY_S, Presence
from batchpool.ledger.recovery import Recovery, Waiting
from batchpool.queue import rq_queue
from batchpool.queue.messages import is_about_a_slot, is_ours, rq_id
from batchpool.reconciler.class_load import load_sample
from batchpool.reconciler.clock_step import ClockWatch, boot_clock
from batchpool.reconciler.policy import (
    Action,
    LeaseGracePeriod,
    Move,
    Observation,
    Park,
    Requeue,
    RequeuePolicy,
)
from batchpool.settings import ReconcilerSettings

LOG = logging.getLogger("batchpool.reconciler")

LEAST_GAP_S = 2.0
SWEEP_EVERY_S = 10.0
MOST_LEASES = 1000
QUEUE_TTL_S = 86_400
MOST_WAITING = 1_000_000
MOST_BULK = 500


class Reconciler:
    """Keeps jobs going. Each step is checked again in Redis, so that two of these do no harm."""

    def __init__(
        self,
        redis: Redis,
        settings: ReconcilerSettings,
        clock: Callable[[], float] = boot_clock,
    ) -> None:
        self._redis = redis
        self._settings = settings
        self._clock = clock
        self._jobs = Jobs(redis)
        self._presence = Presence(redis)
        self._recovery = Recovery(redis)
        self._quarantine = quarantine_of(redis, settings.lease_s)
        self._clock_watch = ClockWatch(self._recovery.read_clock, settings.lease_s)
        self._classes_seen: set[str] = set()
        self._grace = LeaseGracePeriod(
            settings.lease_s, max(LEAST_GAP_S, 2 * settings.reconcile_interval_s)
        )
        self._policy = RequeuePolicy(settings.class_gone_s)
        self._needs: dict[str, Requirements | None] = {}
        self._next_sweep = 0.0
        self._next_sample = 0.0
        self._orphaned: dict[str, frozenset[str]] = {}

    def run_pass(self) -> None:
        """Run one pass; data that cannot be read stop none of its steps."""
        steps = (
            self._move_broken,
            self._follow_clock,
            self._expire,
            self._carry_out_bulk,
            self._rehome_waiting,
            self._sample_if_due,
            self._sweep_if_due,
        )
        for step in steps:
            try:
                step()
            except ResponseError as error:
                if not is_about_data(error):
                    raise
                LOG.warning("a step of this pass met broken data: %s", error)

    def _move_broken(self) -> None:
        self._quarantine.run(rq_queue.key_types(self._classes_seen))

    def _follow_clock(self) -> None:
        step = self._clock_watch.check()
        if step is None:
            return
        if step.is_small:
            self._grace.restart()
        elif self._recovery.shift(
            step.step_ms, step.fresh_ms, self._settings.lease_s, step.reading.moved_ms
        ):
            LOG.warning(
                "the clock of Redis was moved by %.0f s; so were all deadlines", step.step_ms / 1000
            )
        else:
            # Another reconciler was at it; the next check sees what it did.
            return
        self._clock_watch.accept(step)

    def _expire(self) -> None:
        until_ms = self._clock_watch.trusted_until_ms
        if self._grace.allows(self._clock(), self._recovery.run_id()):
            self._take_expired(until_ms)
        ended = self._recovery.expire_deadlines(until_ms=until_ms)
        if ended:
            LOG.debug("%d jobs have passed a deadline", ended)

    def _sweep_if_due(self) -> None:
        if self._clock() >= self._next_sweep:
            self._sweep()
            self._next_sweep = self._clock() + SWEEP_EVERY_S

    def _carry_out_bulk(self) -> None:
        done = self._jobs.carry_out(MOST_BULK)
        if done:
            LOG.info("cancelled or deleted %d jobs, as was asked for", done)

    def _sample_if_due(self) -> None:
        if self._clock() < self._next_sample:
            return
        self._next_sample = self._clock() + SAMPLE_EVERY_S
        waiting, workers = self._recovery.waiting(), self._presence.workers()
        sample = load_sample(self._recovery.now_ms(), waiting, workers)
        if sample:
            self._presence.add_sample(sample)

    def _take_expired(self, until_ms: int) -> None:
        queued = self._recovery.expire_leases(MOST_LEASES, until_ms)
        for batch in queued:
            LOG.warning("batch %s/%d lost its worker; queued again", batch.job_id, batch.batch)
        self._enqueue(queued)

    def _rehome_waiting(self) -> None:
        waiting, parked = self._recovery.waiting(), self._recovery.parked()
        self._forget_needs({batch.job_id for batch in (*waiting, *parked)})
        if not waiting and not parked:
            return
        for action in self._policy.decide(self._observe(waiting, parked)):
            self._act(action)

    def _observe(self, waiting: list[Waiting], parked: list[Waiting]) -> Observation:
        queued, popped = {}, {}
        wanted = {batch.queue for batch in waiting}
        self._classes_seen |= wanted
        for class_id in wanted:
            queued[class_id], popped[class_id] = rq_queue.queued_ids(self._redis, class_id)
        return Observation(
            now_s=self._clock(),
            waiting=waiting,
            parked=parked,
            queued=queued,
            popped=popped,
            classes=self._presence.classes(),
            workers=self._presence.workers(),
            need_of=self._need_of,
        )

    def _need_of(self, job_id: str) -> Requirements | None:
        # A spec never changes, and loading a job reads all of its batches.
        if job_id not in self._needs:
            job = self._jobs.load(job_id)
            code = self._recovery.bound_to(job_id) if job else None
            self._needs[job_id] = Requirements.of_spec(job.spec, code) if job else None
        return self._needs[job_id]

    def _forget_needs(self, job_ids: set[str]) -> None:
        self._needs = {job_id: need for job_id, need in self._needs.items() if job_id in job_ids}

    def _act(self, action: Action) -> None:
        batch = action.batch
        job_id, number, old_class = batch.job_id, batch.batch, batch.queue
        name = f"{job_id}/{number}"
        match action:
            case Requeue():
                LOG.warning(
                    "batch %s was in no queue; back into that of class %s", name, batch.queue
                )
                self._enqueue([batch])
            case Move(class_id=class_id, code=code):
                if not self._recovery.move(job_id, number, class_id, code):
                    # The job has begun meanwhile, with another version: read its needs again.
                    self._needs.pop(job_id, None)
                    return
                LOG.info("batch %s moved from class %s to %s", name, old_class, class_id)
                rq_queue.forget(self._redis, old_class, [rq_id(job_id, number)])
                self._enqueue([batch._replace(queue=class_id)])
            case Park(reason=reason):
                LOG.warning("batch %s is parked: %s", name, reason)
                self._recovery.park(job_id, number, reason)
                rq_queue.forget(self._redis, old_class, [rq_id(job_id, number)])

    def _enqueue(self, batches: Iterable[Waiting]) -> None:
        by_class: dict[str, list[tuple[str, int]]] = {}
        for batch in batches:
            by_class.setdefault(batch.queue, []).append((batch.job_id, batch.batch))
        for class_id, members in by_class.items():
            failpoint("before requeue")
            rq_queue.enqueue_again(self._redis, class_id, members)
            failpoint("after requeue")

    def _sweep(self) -> None:
        # A batch that had bound its job to a version may have been released before an item ran.
        self._needs = {job_id: need for job_id, need in self._needs.items() if not _is_bound(need)}
        self._recovery.check_scores(self._settings.lease_s)
        forgotten = self._recovery.forget_finished()
        if forgotten:
            LOG.info("removed %d expired jobs from the indices", forgotten)
        self._clear_queues()
        self._presence.forget_workers()
        before_ms = self._recovery.now_ms() - self._settings.class_memory_s * 1000
        self._presence.forget_classes(before_ms)
        past = superseded_classes(self._presence.classes(), self._presence.workers())
        # What waits for one of them has its time to come back first.
        wanted = {batch.queue for batch in self._recovery.waiting()}
        self._presence.forget_unused_classes(set(past) - wanted)
        announced = {known.id for known in self._presence.classes()}
        known = {*rq_queue.known_classes(self._redis), *announced}
        self._classes_seen = known
        rq_queue.forget_workers(self._redis, known)
        rq_queue.forget_empty_queues(self._redis, known - announced)

    def _clear_queues(self) -> None:
        """Remove batches that do not wait any more from queues that no worker reads, and those left
        behind by a worker that died at the end of a batch.

        Only what was orphaned at the last sweep too: a batch that has just been stored may be in
        its queue before it is among the waiting ones.
        """
        orphaned: dict[str, frozenset[str]] = {}
        for class_id in rq_queue.known_classes(self._redis):
            there = frozenset().union(*rq_queue.queued_ids(self._redis, class_id))
            waiting = {
                rq_id(batch.job_id, batch.batch)
                for batch in (self._recovery.waiting(MOST_WAITING) if there else ())
                if batch.queue == class_id
            }
            for name in there:
                if not is_ours(name):
                    rq_queue.set_aside(self._redis, class_id, name)
            # Not messages about slots: comparisons remove those themselves.
            batches = {name for name in there if is_ours(name) and not is_about_a_slot(name)}
            orphaned[class_id] = frozenset(batches - waiting)
            if again := orphaned[class_id] & self._orphaned.get(class_id, frozenset()):
                LOG.info("removed %d ended batches from the queue of %s", len(again), class_id)
                rq_queue.forget(self._redis, class_id, again)
        self._orphaned = orphaned


def _is_bound(need: Requirements | None) -> bool:
    return need is not None and need.code is not None
