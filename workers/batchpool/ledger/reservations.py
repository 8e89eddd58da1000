"""Slots of a comparison: offered to workers, taken, kept and left.

A comparison offers a slot under a nonce; the message with that nonce goes through the queue of a
class; the worker that receives it takes the slot. A worker that holds a slot checks now and then
that it still does, so no worker stays reserved when a message is lost or a driver has died.
"""

import json
import secrets
from collections.abc import Collection
from typing import NamedTuple, TypedDict, cast

from redis import Redis

from batchpool.ledger import keys
from batchpool.ledger.connection import Commands
from batchpool.ledger.scripts import LuaScript

OFFER = "want:"
"""Prefix of the hash fields that hold the nonce of a slot on offer."""


class WorkerSlot(NamedTuple):
    """One slot of a comparison, as one message offered it."""

    comparison_id: str
    slot: int
    nonce: str


class HolderFields(TypedDict):
    """The identity of a worker that takes a slot; `pid` is its own."""

    worker: str
    host: str
    cpus: float
    pid: int
    python: str
    gil: bool


class Holder(HolderFields):
    """The worker that took a slot; `ms` is the time on Redis' clock."""

    nonce: str
    ms: int


class Reservations:
    """Both sides of a reservation; each step names a nonce, so none takes effect twice."""

    def __init__(self, redis: Redis) -> None:
        self._redis: Commands = redis
        self._offer = LuaScript(redis, "want")
        self._take = LuaScript(redis, "take")
        self._leave = LuaScript(redis, "leave")

    def request(self, comparison_id: str, slot: int) -> WorkerSlot | None:
        """Vacate a slot and offer it under a new nonce; None if the comparison does not run."""
        offer = WorkerSlot(comparison_id, slot, secrets.token_hex(8))
        answer = self._offer(keys.comparison_key(comparison_id), [slot, offer.nonce])
        return offer if answer == b"ok" else None

    def take(self, offer: WorkerSlot, holder: HolderFields) -> bool:
        """Become the holder if the slot is on offer under this nonce; True for its holder too."""
        args = [offer.slot, offer.nonce, json.dumps(holder)]
        return bool(self._take(keys.comparison_key(offer.comparison_id), args) == b"ok")

    def is_current(self, taken: WorkerSlot) -> bool:
        """Whether the comparison runs and the slot still belongs to the holder of this nonce."""
        with self._redis.pipeline(transaction=False) as pipe:
            pipe.hget(keys.comparison_key(taken.comparison_id), "state")
            pipe.hget(keys.slots_key(taken.comparison_id), str(taken.slot))
            state, holder = pipe.execute()
        return (
            state == b"running"
            and holder is not None
            and json.loads(holder)["nonce"] == taken.nonce
        )

    def leave(self, taken: WorkerSlot) -> bool:
        """Give the slot up, or withdraw its offer; False if this nonce has neither."""
        key = keys.comparison_key(taken.comparison_id)
        return bool(self._leave(key, [taken.slot, taken.nonce]) == b"ok")

    def holder(self, comparison_id: str, slot: int) -> Holder | None:
        """The holder of a slot, or None."""
        return self.holders(comparison_id).get(slot)

    def holders(self, comparison_id: str) -> dict[int, Holder]:
        """The holders by slot."""
        found = self._redis.hgetall(keys.slots_key(comparison_id))
        return {
            int(name): cast(Holder, json.loads(holder))
            for name, holder in found.items()
            if not name.startswith(OFFER.encode())
        }

    def reserve_hosts(self, hosts: Collection[str]) -> None:
        """Count claims on these hosts, and only on these, from 0."""
        with self._redis.pipeline(transaction=True) as pipe:
            pipe.delete(keys.RESERVED)
            if hosts:
                pipe.hset(keys.RESERVED, mapping=dict.fromkeys(hosts, 0))
            pipe.execute()

    def claims(self) -> dict[str, int]:
        """Claims by host since `reserve_hosts`, including those of the comparison's own batches."""
        found = self._redis.hgetall(keys.RESERVED)
        return {host.decode(): int(count) for host, count in found.items()}

    def free_hosts(self) -> None:
        """Stop counting claims."""
        self._redis.delete(keys.RESERVED)
