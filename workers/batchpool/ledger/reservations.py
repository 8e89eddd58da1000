"""Slots of a comparison: offered to workers, taken, kept and left.

A comparison offers a slot under a nonce; the message with that nonce goes through the queue of a
class; the worker that receives it takes the slot. A worker that holds a slot checks now and then
that it still does, so no worker stays reserved when a message is lost or a driver has died.
"""

import json
import re
import secrets
from collections.abc import Collection
from typing import NamedTuple, TypedDict, cast

from redis import Redis
from redis.exceptions import ResponseError

from batchpool.ledger import keys
from batchpool.ledger.broken import Broken, is_about_data, is_count
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


_SLOT = re.compile(rb"[0-9]{1,6}")
_TYPES = {"worker": str, "host": str, "nonce": str, "ms": int, "pid": int}


def _holder(text: object) -> Holder | None:
    """The holder of a slot; None if there is none that can be read."""
    try:
        found = json.loads(text) if isinstance(text, bytes) else None
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    is_whole = all(isinstance(found.get(name), kind) for name, kind in _TYPES.items())
    return cast(Holder, found) if is_whole else None


class Reservations:
    """Both sides of a reservation; each step names a nonce, so none takes effect twice."""

    def __init__(self, redis: Redis) -> None:
        self._redis: Commands = redis
        self._broken = Broken(redis)
        self._offer = LuaScript(redis, "want")
        self._take = LuaScript(redis, "take")
        self._leave = LuaScript(redis, "leave")

    def request(self, comparison_id: str, slot: int) -> WorkerSlot | None:
        """Vacate a slot and offer it under a new nonce; None if the comparison does not run."""
        offer = WorkerSlot(comparison_id, slot, secrets.token_hex(8))
        is_offered = self._attempt(self._offer, comparison_id, [slot, offer.nonce])
        return offer if is_offered else None

    def take(self, offer: WorkerSlot, holder: HolderFields) -> bool:
        """Become the holder if the slot is on offer under this nonce; True for its holder too."""
        args: list[object] = [offer.slot, offer.nonce, json.dumps(holder)]
        return self._attempt(self._take, offer.comparison_id, args)

    def is_current(self, taken: WorkerSlot) -> bool:
        """Whether the comparison runs and the slot still belongs to the holder of this nonce."""
        with self._redis.pipeline(transaction=False) as pipe:
            pipe.hget(keys.comparison_key(taken.comparison_id), "state")
            pipe.hget(keys.slots_key(taken.comparison_id), str(taken.slot))
            state, holder = pipe.execute(raise_on_error=False)
        for answer in (state, holder):
            if isinstance(answer, Exception) and not is_about_data(answer):
                raise answer
        return (
            state == b"running"
            and (found := _holder(holder)) is not None
            and found["nonce"] == taken.nonce
        )

    def leave(self, taken: WorkerSlot) -> bool:
        """Give the slot up, or withdraw its offer; False if this nonce has neither."""
        return self._attempt(self._leave, taken.comparison_id, [taken.slot, taken.nonce])

    def _attempt(self, script: LuaScript, comparison_id: str, args: list[object]) -> bool:
        """Whether a step was taken; False where its data do not let it be taken."""
        try:
            return bool(script(keys.comparison_key(comparison_id), args) == b"ok")
        except ResponseError as error:
            if not is_about_data(error):
                raise
            return False

    def holder(self, comparison_id: str, slot: int) -> Holder | None:
        """The holder of a slot, or None."""
        return self.holders(comparison_id).get(slot)

    def holders(self, comparison_id: str) -> dict[int, Holder]:
        """The holders by slot."""
        key = keys.slots_key(comparison_id)
        try:
            found = self._redis.hgetall(key)
        except ResponseError as error:
            if not is_about_data(error):
                raise
            self._broken.note_error("key", key, b"", error)
            return {}
        holders = {}
        for name, text in found.items():
            if name.startswith(OFFER.encode()):
                continue
            holder = _holder(text)
            if holder is None or not _SLOT.fullmatch(name):
                self._broken.note("member", key, name, "it is no holder of a slot")
            else:
                holders[int(name)] = holder
        return holders

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
        # The reconciler takes out what is no count.
        return {host.decode(): int(n) for host, n in found.items() if is_count(host, n)}

    def free_hosts(self) -> None:
        """Stop counting claims."""
        self._redis.delete(keys.RESERVED)
