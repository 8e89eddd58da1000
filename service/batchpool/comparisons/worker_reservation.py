"""Reserve the workers of a comparison, replace lost ones, and release them."""

import time
from collections.abc import Callable
from typing import NamedTuple

from redis import Redis

from batchpool.ledger import keys
from batchpool.ledger.presence import Presence
from batchpool.ledger.reservations import Holder, Reservations, WorkerSlot
from batchpool.ledger.values.comparison_entries import ComparisonEntry
from batchpool.queue import rq_queue
from batchpool.queue.messages import Release, Reserve, reserve_id

ANNOUNCE_S = 3.0
"""A worker that has taken its slot announces itself within this time."""
LOST_S = 10.0
"""A message that is in no queue for so long was lost with the worker that had popped it."""


class ReservedWorkers(NamedTuple):
    """The holders of a comparison's slots, and the slots that must be offered again.

    A slot whose worker has taken it but does not read its queue yet is in neither.
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
    """The service's side of reservations; all that matters is in the ledger."""

    def __init__(self, redis: Redis, clock: Callable[[], float] = time.monotonic) -> None:
        self._redis = redis
        self._clock = clock
        self._presence = Presence(redis)
        self._reservations = Reservations(redis)
        self._requested_at: dict[tuple[str, int], float] = {}

    def fill(self, entry: ComparisonEntry, now_ms: int) -> ReservedWorkers:
        """Request a worker for each slot that has none; returns the current state."""
        reserved = self._load(entry, now_ms)
        for slot in reserved.missing:
            since = self._requested_at.get((entry.id, slot))
            if since is None or self._is_lost(entry, slot, since):
                self.request(entry, slot)
        return reserved

    def request(self, entry: ComparisonEntry, slot: int) -> None:
        """Vacate the slot and offer it to another worker."""
        offer = self._reservations.request(entry.id, slot)
        if offer is not None:
            rq_queue.send(self._redis, entry.class_id, Reserve(offer))
            self._requested_at[entry.id, slot] = self._clock()

    def _load(self, entry: ComparisonEntry, now_ms: int) -> ReservedWorkers:
        holders = self._reservations.holders(entry.id)
        present = {worker.name: worker for worker in self._presence.workers()}
        ready, missing = {}, []
        slots = range(entry.spec.workers_needed)
        for slot in slots:
            holder = holders.get(slot)
            if holder is None:
                missing.append(slot)
                continue
            worker = present.get(holder["worker"])
            private = keys.private_class(entry.class_id, entry.id, slot)
            if worker and worker.class_id == private and worker.state != "draining":
                ready[slot] = holder
                self._requested_at.pop((entry.id, slot), None)
            # A holder from the future: Redis' clock was set back since.
            elif abs(now_ms - holder["ms"]) > ANNOUNCE_S * 1000:
                missing.append(slot)
        return ReservedWorkers(ready, missing, len(slots))

    def _is_lost(self, entry: ComparisonEntry, slot: int, since: float) -> bool:
        if self._clock() - since < LOST_S:
            return False
        queued, _ = rq_queue.queued_ids(self._redis, entry.class_id)
        return reserve_id(entry.id, slot) not in queued

    def count_claims(self, reserved: ReservedWorkers) -> dict[str, int]:
        """Claims by host so far; counting starts again from 0 when the hosts have changed."""
        claims = self._reservations.claims()
        if claims.keys() != reserved.hosts:
            self._reservations.reserve_hosts(reserved.hosts)
            claims = self._reservations.claims()
        return claims

    def claims(self) -> dict[str, int]:
        """Claims by host since counting started."""
        return self._reservations.claims()

    def release_all(self, entry: ComparisonEntry) -> None:
        """Send each worker the message that it goes back to its class."""
        for slot, holder in self._reservations.holders(entry.id).items():
            taken = WorkerSlot(entry.id, slot, holder["nonce"])
            private = keys.private_class(entry.class_id, entry.id, slot)
            rq_queue.send(self._redis, private, Release(taken))

    def all_released(self, entry: ComparisonEntry) -> bool:
        """Whether no live worker announces that it is reserved for the comparison."""
        prefix = f"{entry.class_id}~{entry.id}~"
        return not any(worker.class_id.startswith(prefix) for worker in self._presence.workers())

    def clean_up(self, entry: ComparisonEntry) -> None:
        """Remove the remaining queues and messages, and stop counting claims."""
        slots = range(entry.spec.workers_needed)
        names = [reserve_id(entry.id, slot) for slot in slots]
        rq_queue.forget(self._redis, entry.class_id, names)
        for slot in slots:
            rq_queue.drop_queue(self._redis, keys.private_class(entry.class_id, entry.id, slot))
            self._requested_at.pop((entry.id, slot), None)
        self._reservations.free_hosts()
