"""The workers of a comparison: waited for, looked after, and given back without a trace."""

import time
from collections.abc import Callable
from typing import NamedTuple

from redis import Redis

from batchpool.comparisons.planning import workers_needed
from batchpool.ledger import keys
from batchpool.ledger.comparisons import ComparisonEntry
from batchpool.ledger.presence import Presence
from batchpool.ledger.reservations import Holder, Reservations, WorkerSlot
from batchpool.queue import rq_queue
from batchpool.queue.messages import Release, Reserve, reserve_id

PATIENCE_S = 3.0
"""A worker that has taken its slot announces itself within this time."""
LOST_S = 10.0
"""A message that is in no queue for so long went down with the worker that popped it."""


class ReservedWorkers(NamedTuple):
    """Who serves the slots of a comparison, and which slots nobody holds.

    A worker that has taken a slot and not yet said that it reads its queue is neither.
    """

    holders: dict[int, Holder]
    missing: list[int]
    needed: int

    @property
    def is_complete(self) -> bool:
        return len(self.holders) == self.needed

    @property
    def hosts(self) -> set[str]:
        return {holder["host"] for holder in self.holders.values()}


class WorkerReservations:
    """The service's side of reservations; safe to be started anew at any moment."""

    def __init__(self, redis: Redis, clock: Callable[[], float] = time.monotonic) -> None:
        self._redis = redis
        self._clock = clock
        self._presence = Presence(redis)
        self._reservations = Reservations(redis)
        self._wanted: dict[tuple[str, int], float] = {}

    def fill(self, entry: ComparisonEntry, now_ms: int) -> ReservedWorkers:
        """Want a worker for each slot that has none; who is there now."""
        crew = self._look(entry, now_ms)
        for slot in crew.missing:
            since = self._wanted.get((entry.id, slot))
            if since is None or self._is_lost(entry, slot, since):
                self.request(entry, slot)
        return crew

    def request(self, entry: ComparisonEntry, slot: int) -> None:
        """Vacate the slot, and ask for another worker."""
        seat = self._reservations.request(entry.id, slot)
        if seat is not None:
            rq_queue.send(self._redis, entry.class_id, Reserve(seat))
            self._wanted[entry.id, slot] = self._clock()

    def _look(self, entry: ComparisonEntry, now_ms: int) -> ReservedWorkers:
        holders = self._reservations.holders(entry.id)
        present = {worker.name: worker for worker in self._presence.workers()}
        held, missing = {}, []
        slots = range(workers_needed(entry.spec))
        for slot in slots:
            holder = holders.get(slot)
            if holder is None:
                missing.append(slot)
                continue
            worker = present.get(holder["worker"])
            private = keys.private_class(entry.class_id, entry.id, slot)
            if worker and worker.class_id == private and worker.state != "draining":
                held[slot] = holder
                self._wanted.pop((entry.id, slot), None)
            elif now_ms - holder["ms"] > PATIENCE_S * 1000:
                missing.append(slot)
        return ReservedWorkers(held, missing, len(slots))

    def _is_lost(self, entry: ComparisonEntry, slot: int, since: float) -> bool:
        if self._clock() - since < LOST_S:
            return False
        queued, _ = rq_queue.queued_ids(self._redis, entry.class_id)
        return reserve_id(entry.id, slot) not in queued

    def count_claims(self, crew: ReservedWorkers) -> dict[str, int]:
        """Claims by host so far; counting begins anew when the hosts have changed."""
        claims = self._reservations.claims()
        if claims.keys() != crew.hosts:
            self._reservations.reserve_hosts(crew.hosts)
            claims = self._reservations.claims()
        return claims

    def claims(self) -> dict[str, int]:
        return self._reservations.claims()

    def release_all(self, entry: ComparisonEntry) -> None:
        """Tell the workers to go back to their class."""
        for slot, holder in self._reservations.holders(entry.id).items():
            seat = WorkerSlot(entry.id, slot, holder["nonce"])
            private = keys.private_class(entry.class_id, entry.id, slot)
            rq_queue.send(self._redis, private, Release(seat))

    def all_released(self, entry: ComparisonEntry) -> bool:
        """Whether no live worker says that it is reserved for the comparison."""
        prefix = f"{entry.class_id}~{entry.id}~"
        return not any(worker.class_id.startswith(prefix) for worker in self._presence.workers())

    def clean_up(self, entry: ComparisonEntry) -> None:
        """Remove the queues and messages that are left, and count no longer."""
        slots = range(workers_needed(entry.spec))
        names = [reserve_id(entry.id, slot) for slot in slots]
        rq_queue.forget(self._redis, entry.class_id, names)
        for slot in slots:
            rq_queue.drop_queue(self._redis, keys.private_class(entry.class_id, entry.id, slot))
            self._wanted.pop((entry.id, slot), None)
        self._reservations.free_hosts()
