"""Arguments and answer of create.lua, the step that writes a job."""

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from batchpool.json_value import JsonObject
from batchpool.ledger import keys
from batchpool.ledger.blocks.item_codec import pack_items
from batchpool.ledger.scripts import counted_words
from batchpool.ledger.values.job_entries import NewJob, UploadedItems

RECORD_BYTES = 32
"""Expected size of a record that is not written yet: 7 to 20 were measured for numbers."""

_STORED = re.compile(rb"([0-9A-Za-z-]{1,64}) (\S{1,64})(?: (\S{1,1000}))?")


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
    """The job, or bulk of jobs, that exists now; `submitted_ms` is None if it was made before."""

    name: str
    submitted_ms: int | None
    note: str = ""


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
            KeyReused, KeyBroken: as `read`.
        """
        return self.read(stored)[0]

    def read(self, stored: bytes) -> tuple[str, str]:
        """The id that the first request with this key has stored, and the note beside it.

        Raises:
            KeyReused: that request had another body.
            KeyBroken: it cannot be known.
        """
        found = _STORED.fullmatch(stored)
        if not found:
            raise KeyBroken(self.name)
        if found[2].decode() != self.body_sha256:
            raise KeyReused(self.key)
        return found[1].decode(), (found[3] or b"").decode()


@dataclass(frozen=True)
class CapacityLimits:
    """Limits that a new job must not exceed: queued items, and a share of Redis' maxmemory."""

    queued_items: int
    memory_share: float = 0.85

    def as_json(self) -> JsonObject:
        """The limits as the scripts read them."""
        return {"record_bytes": RECORD_BYTES, **self.__dict__}


@dataclass(frozen=True)
class Bulk:
    """Jobs that are written in one step, all or none of them.

    Args:
        name: the id that an Idempotency-Key stores for them.
        note: stored with it, without blanks; a request with the same key gets it back.
    """

    name: str
    jobs: Sequence[NewJob]
    note: str = ""

    @property
    def reducer_bytes(self) -> int:
        """What the states of all reducers may take, in all batches."""
        return sum(new.reducer_bytes * len(new.ranges) for new in self.jobs)


def create_arguments(
    bulk: Bulk,
    queueing: Iterable[Sequence[Any]],
    key: IdempotencyKey | None,
    room: CapacityLimits | None,
    dry_run: bool = False,
) -> list[Any]:
    """The arguments of create.lua.

    Args:
        queueing: the commands that put the batches into their queues, word by word.
    """
    packed = [(new, _blocks_of(new)) for new in bulk.jobs]
    order: JsonObject = {
        "items": sum(count for new in bulk.jobs for _, count in new.ranges),
        "bytes": sum(_stored_bytes(new) for new in bulk.jobs),
        "reducer_bytes": bulk.reducer_bytes,
        "jobs": [_describe(new, len(blocks)) for new, blocks in packed],
        "dry_run": dry_run,
    }
    if leader := bulk.jobs[0].leader:
        order["leader"] = leader
    if key:
        value = f"{bulk.name} {key.body_sha256} {bulk.note}".rstrip()
        order["once"] = {"name": key.name, "value": value, "ttl_s": key.ttl_s}
    if room:
        order["room"] = room.as_json()
    texts = [part for new, blocks in packed for part in (_spec_text(new), *blocks)]
    return [json.dumps(order), *texts, *counted_words(queueing)]


def _blocks_of(new: NewJob) -> list[bytes]:
    """The items, packed, unless they came before."""
    return pack_items(() if isinstance(new.items, UploadedItems) else new.items or ())


def _stored_bytes(new: NewJob) -> int:
    """Bytes that uploaded items would take, where they were only measured."""
    items = new.items
    return items.stored_bytes if isinstance(items, UploadedItems) and not items.key else 0


def _describe(new: NewJob, blocks: int) -> JsonObject:
    described: JsonObject = {
        "key": keys.job_key(new.id),
        "ranges": new.ranges,
        "blocks": blocks,
        "reducer_bytes": new.reducer_bytes,
        "queue": new.queue,
        "timeout_ms": int(new.timeout_s * 1000),
        "queue_timeout_ms": int(new.queue_timeout_s * 1000),
        "ttl_ms": int(new.result_ttl_s * 1000),
    }
    if isinstance(new.items, UploadedItems) and new.items.key:
        described |= {"upload": new.items.key, "blocks": new.items.blocks}
    if new.queues:
        described["queues"] = list(new.queues)
    return described


def _spec_text(new: NewJob) -> str:
    return json.dumps(new.spec.to_json(), separators=(",", ":"))


def parse_created(name: str, answer: Sequence[bytes], key: IdempotencyKey | None) -> Created:
    """Read the answer of create.lua.

    Raises:
        KeyReused, KeyBroken, LimitExceeded, UploadLost: nothing was written.
    """
    word, *rest = answer
    if word == b"again" and key:
        first_id, note = key.read(rest[0])
        return Created(first_id, None, note)
    if word in (b"exists", b"stale"):
        return Created(name, None)
    check_room(answer)
    return Created(name, int(rest[0]))


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
