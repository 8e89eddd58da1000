"""Reserved workers: each holds a slot of a running comparison and takes batches from it alone.

The comparison wants a worker for a slot and names a nonce; the message with that nonce goes through
a class's queue; the worker that pops it takes the slot. Whoever holds a slot looks now and then
whether it still does, so a message that is lost, or a driver that died, binds no worker for ever.
"""

import json
import secrets
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple, TypedDict, cast

from redis import Redis

from batchpool.ledger import keys
from batchpool.ledger.connection import Commands
from batchpool.ledger.scripts import LuaScript

WANT = "want:"


class WorkerSlot(NamedTuple):
    """One slot of a comparison, as one message offered it."""

    comparison_id: str
    slot: int
    nonce: str


class Holder(TypedDict):
    """The worker that took a slot; `pid` is its own, `ms` the time on Redis' clock."""

    worker: str
    host: str
    cpus: float
    pid: int
    python: str
    gil: bool
    nonce: str
    ms: int


class Reservations:
    """The steps of both sides; each names the slot it means by a nonce, so none acts twice."""

    def __init__(self, redis: Redis) -> None:
        self._redis: Commands = redis
        self._want = LuaScript(redis, "want")
        self._take = LuaScript(redis, "take")
        self._leave = LuaScript(redis, "leave")

    def request(self, comparison_id: str, slot: int) -> WorkerSlot | None:
        """Vacate a slot and let it be taken with a new nonce; None when nothing runs there."""
        seat = WorkerSlot(comparison_id, slot, secrets.token_hex(8))
        answer = self._want(keys.comparison_key(comparison_id), [slot, seat.nonce])
        return seat if answer == b"ok" else None

    def take(self, seat: WorkerSlot, holder: Mapping[str, Any]) -> bool:
        """Become the holder, if this very seat is wanted; true again for who has it already.

        Args:
            holder: the fields of a `Holder` but its nonce and time.
        """
        args = [seat.slot, seat.nonce, json.dumps(dict(holder))]
        return bool(self._take(keys.comparison_key(seat.comparison_id), args) == b"ok")

    def is_held(self, seat: WorkerSlot) -> bool:
        """Whether the comparison runs and the slot is that of who took it with this nonce."""
        with self._redis.pipeline(transaction=False) as pipe:
            pipe.hget(keys.comparison_key(seat.comparison_id), "state")
            pipe.hget(keys.slots_key(seat.comparison_id), str(seat.slot))
            state, held = pipe.execute()
        return state == b"running" and held is not None and json.loads(held)["nonce"] == seat.nonce

    def leave(self, seat: WorkerSlot) -> bool:
        """Give the slot up, by its holder or by who no longer wants that one; False: not held."""
        key = keys.comparison_key(seat.comparison_id)
        return bool(self._leave(key, [seat.slot, seat.nonce]) == b"ok")

    def holder(self, comparison_id: str, slot: int) -> Holder | None:
        """Who holds a slot."""
        return self.holders(comparison_id).get(slot)

    def holders(self, comparison_id: str) -> dict[int, Holder]:
        """Who holds which slot."""
        found = self._redis.hgetall(keys.slots_key(comparison_id))
        return {
            int(name): cast(Holder, json.loads(held))
            for name, held in found.items()
            if not name.startswith(WANT.encode())
        }

    def reserve_hosts(self, hosts: Collection[str]) -> None:
        """Count the claims on these hosts, and on no others, from 0."""
        with self._redis.pipeline(transaction=True) as pipe:
            pipe.delete(keys.RESERVED)
            if hosts:
                pipe.hset(keys.RESERVED, mapping=dict.fromkeys(hosts, 0))
            pipe.execute()

    def claims(self) -> dict[str, int]:
        """Claims by host since it was reserved, those of the comparison's own batches included."""
        found = self._redis.hgetall(keys.RESERVED)
        return {host.decode(): int(count) for host, count in found.items()}

    def free_hosts(self) -> None:
        """Count no longer."""
        self._redis.delete(keys.RESERVED)
