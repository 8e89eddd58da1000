"""Arguments and answer of create.lua, the step that writes a job."""

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from batchpool.json_value import JsonObject
from batchpool.ledger import keys
from batchpool.ledger.scripts import counted_words
from batchpool.ledger.values.job_entries import NewJob, UploadedItems

RECORD_BYTES = 32
"""Expected size of a record that is not written yet: 7 to 20 were measured for numbers."""

_STORED = re.compile(rb"([0-9A-Za-z-]{1,64}) (\S{1,64})")


class KeyReused(Exception):
    """An Idempotency-Key was used before with another body."""


class KeyBroken(Exception):
    """What is stored for an Idempotency-Key under this name cannot be read."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class LimitExceeded(Exception):
    """The job would exceed a limit: `used` of `most` would be taken."""

    def __init__(self, used: int, most: int) -> None:
        super().__init__(f"{used} of {most}")
        self.used = used
        self.most = most


class QueueFull(LimitExceeded):
    """Too many items, or comparisons, would wait."""


class MemoryFull(LimitExceeded):
    """Too few bytes would be left in Redis for the results of the jobs that it has."""


class UploadLost(Exception):
    """Items of an upload are gone: the next ones did not come in time."""


class Created(NamedTuple):
    """The job that exists now; `submitted_ms` is None if it was made before."""

    job_id: str
    submitted_ms: int | None


@dataclass(frozen=True)
class IdempotencyKey:
    """A client's promise that requests with this key are one request.

    `scope` keeps callers and endpoints apart; `body_sha256` is over the normalised spec.
    """

    scope: str
    key: str
    body_sha256: str
    ttl_s: int = 86400

    @property
    def name(self) -> str:
        return keys.ONCE + hashlib.sha256(f"{self.scope}\0{self.key}".encode()).hexdigest()

    def first_id(self, stored: bytes) -> str:
        """The id of the job or comparison that the first request with this key has made.

        Raises:
            KeyReused: that request had another body.
            KeyBroken: it cannot be known.
        """
        found = _STORED.fullmatch(stored)
        if not found:
            raise KeyBroken(self.name)
        if found[2].decode() != self.body_sha256:
            raise KeyReused(self.key)
        return found[1].decode()


@dataclass(frozen=True)
class CapacityLimits:
    """Limits that a new job must not exceed: queued items, and a share of Redis' maxmemory."""

    queued_items: int
    memory_share: float = 0.85

    def as_json(self) -> JsonObject:
        """The limits as the scripts read them."""
        return {"record_bytes": RECORD_BYTES, **self.__dict__}


def create_arguments(
    new: NewJob,
    blocks: Sequence[bytes],
    queueing: Iterable[Sequence[Any]],
    key: IdempotencyKey | None,
    room: CapacityLimits | None,
    dry_run: bool = False,
) -> list[Any]:
    """The arguments of create.lua.

    Args:
        blocks: the items, packed, unless they came before.
        queueing: the commands that put the batches into their queue, word by word.
    """
    order = _order(new, len(blocks), key, room) | {"dry_run": dry_run}
    spec = json.dumps(new.spec.to_json(), separators=(",", ":"))
    return [json.dumps(order), spec, *blocks, *counted_words(queueing)]


def _order(
    new: NewJob, blocks: int, key: IdempotencyKey | None, room: CapacityLimits | None
) -> JsonObject:
    order: JsonObject = {
        "items": sum(count for _, count in new.ranges),
        "ranges": new.ranges,
        "blocks": blocks,
        "bytes": 0,
        "queue": new.queue,
        "timeout_ms": int(new.timeout_s * 1000),
        "queue_timeout_ms": int(new.queue_timeout_s * 1000),
        "ttl_ms": int(new.result_ttl_s * 1000),
    }
    if isinstance(new.items, UploadedItems):
        if new.items.key:
            order |= {"upload": new.items.key, "blocks": new.items.blocks}
        else:
            order["bytes"] = new.items.stored_bytes
    if new.queues:
        order["queues"] = list(new.queues)
    if new.leader:
        order["leader"] = new.leader
    if key:
        value = f"{new.id} {key.body_sha256}"
        order["once"] = {"name": key.name, "value": value, "ttl_s": key.ttl_s}
    if room:
        order["room"] = room.as_json()
    return order


def parse_created(job_id: str, answer: Sequence[bytes], key: IdempotencyKey | None) -> Created:
    """Read the answer of create.lua.

    Raises:
        KeyReused, KeyBroken, LimitExceeded, UploadLost: nothing was written.
    """
    word, *rest = answer
    if word == b"again" and key:
        return Created(key.first_id(rest[0]), None)
    if word in (b"exists", b"stale"):
        return Created(job_id, None)
    check_room(answer)
    return Created(job_id, int(rest[0]))


def check_room(answer: Sequence[bytes]) -> None:
    """Read what a script answers that has written nothing.

    Raises:
        LimitExceeded, UploadLost: why.
    """
    word, *rest = answer
    if word == b"queued":
        raise QueueFull(*map(int, rest))
    if word == b"memory":
        raise MemoryFull(*map(int, rest))
    if word == b"lost":
        raise UploadLost
