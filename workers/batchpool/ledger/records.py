"""Read records by item index, in bounded memory however large the job is."""

import json
import zlib
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple, TypedDict

import msgpack
from redis import Redis

from batchpool.ledger import keys
from batchpool.ledger.blocks.record_codec import decode_block
from batchpool.ledger.broken import UNPARSABLE, Broken
from batchpool.ledger.connection import Commands
from batchpool.ledger.jobs import ITEMS_PER_BLOCK, Jobs
from batchpool.ledger.values.job_entries import BatchEntry, JobEntry
from batchpool.model import FailedAttempt, Outcome, RecordState, TaskError
from batchpool.timestamps import instant

WINDOW = ITEMS_PER_BLOCK
"""Indices that are decoded at once; a block that spans two windows is decoded for both."""


class RecordDocument(TypedDict):
    """The record of one item as the API shows it.

    `attempt` is 0 for an item that never ran; then nothing says where and when it did.
    """

    index: int
    item: Any
    state: RecordState
    value: Any
    error: TaskError | None
    batch: int
    epoch: int | None
    attempt: int
    tries: list[FailedAttempt]
    worker: str | None
    host: str | None
    pid: int | None
    ppid: int | None
    thread_id: int | None
    thread_name: str | None
    interpreter: int | None
    started_at: str | None
    offset_s: float | None
    wall_s: float | None
    cpu_s: float | None
    sum_seen: int | float | None


RECORD_FIELDS = tuple(RecordDocument.__annotations__)


class Records:
    """The records of the jobs in one Redis."""

    def __init__(self, redis: Redis) -> None:
        self._redis: Commands = redis
        self._jobs = Jobs(redis)

    def page(
        self, job: JobEntry, first: int, limit: int, states: frozenset[str] | None = None
    ) -> tuple[list[RecordDocument], int | None]:
        """Up to `limit` records from the index `first` on, and where the next page begins."""
        found = list(islice(self.stream(job, first, states), limit + 1))
        if len(found) <= limit:
            return found, None
        return found[:limit], found[limit]["index"]

    def stream(
        self, job: JobEntry, first: int = 0, states: frozenset[str] | None = None
    ) -> Iterator[RecordDocument]:
        """All records by item index; an item that never ran has one once its batch has ended."""
        for batch in job.batches:
            stop = batch.first + batch.count
            heads = _BlockIndex(self._redis, job.id, batch) if stop > first else None
            start = max(first, batch.first)
            while heads and start < stop:
                # Windows end where blocks of items do, so that each of those is read once.
                end = min(stop, (start // WINDOW + 1) * WINDOW)
                yield from self._window(job, batch, heads, range(start, end), states)
                start = end

    def _window(
        self,
        job: JobEntry,
        batch: BatchEntry,
        heads: "_BlockIndex",
        window: range,
        states: frozenset[str] | None,
    ) -> Iterator[RecordDocument]:
        found = heads.load(window)
        rest = batch.rest
        if not found and not (rest and (not states or rest in states)):
            return
        items = self._jobs.items(job.id, window.start, len(window))
        for index in window:
            item = items[index - window.start]
            if index in found:
                number, outcome = found[index]
                record = _record(batch, number, outcome, item)
            elif rest:
                record = _not_run_record(job, batch, index, item)
            else:
                continue
            if not states or record["state"] in states:
                yield record


class _Head(NamedTuple):
    """The header of a block: the epoch that wrote it, its first and last index."""

    epoch: int
    first: int
    last: int


class _BlockIndex:
    """The headers of one batch's blocks, and the last blocks decoded."""

    def __init__(self, redis: Commands, job_id: str, batch: BatchEntry) -> None:
        self._redis: Commands = redis
        self._broken = Broken(redis)
        self._count = batch.count
        self._blocks = keys.batch_key(job_id, batch.index) + ":blocks"
        raw = redis.lrange(keys.batch_key(job_id, batch.index) + ":heads", 0, -1)
        heads = [self._head(at, head) for at, head in enumerate(raw)]
        # An epoch that began after the job was read has no owner in `batch`: left to the next read.
        self._heads = [
            head if head.epoch <= len(batch.epochs) else head._replace(last=-1) for head in heads
        ]
        self._decoded: dict[int, list[Outcome]] = {}

    def load(self, window: range) -> dict[int, tuple[int, Outcome]]:
        """Index -> (epoch, outcome) of the records within `window`."""
        wanted = [
            at
            for at, head in enumerate(self._heads)
            if head.first < window.stop and head.last >= window.start
        ]
        # Blocks that reach into the next window stay decoded, the others are dropped.
        self._decoded = {at: self._decoded[at] for at in wanted if at in self._decoded}
        self._decode([at for at in wanted if at not in self._decoded])
        return {
            outcome.index: (self._heads[at].epoch, outcome)
            for at in wanted
            for outcome in self._decoded[at]
            if outcome.index in window
        }

    def _decode(self, missing: Sequence[int]) -> None:
        with self._redis.pipeline(transaction=False) as pipe:
            for at in missing:
                pipe.lindex(self._blocks, at)
            for at, block in zip(missing, pipe.execute(), strict=True):
                # None: the job was deleted, or has expired, while it was being read.
                self._decoded[at] = self._outcomes(at, block) if block else []

    def _outcomes(self, at: int, block: bytes) -> list[Outcome]:
        try:
            return list(decode_block(block, most=self._count))
        except (*UNPARSABLE, zlib.error, msgpack.UnpackException) as error:
            self._broken.note_error("block", self._blocks, b"%d" % at, error)
            return []

    def _head(self, at: int, raw: bytes) -> _Head:
        try:
            head = json.loads(raw)
            return _Head(int(head["e"]), int(head["lo"]), int(head["hi"]))
        except UNPARSABLE as error:
            self._broken.note_error("block", self._blocks, b"%d" % at, error)
            return _Head(0, 0, -1)


def _record(batch: BatchEntry, number: int, outcome: Outcome, item: Any) -> RecordDocument:
    epoch = batch.epochs[number - 1]
    site = outcome.site
    started_s = epoch["started_ms"] / 1000 + outcome.started_ns / 1e9
    return {
        "index": outcome.index,
        "item": item,
        "state": outcome.state,
        "value": outcome.value,
        "error": outcome.error,
        "batch": batch.index,
        "epoch": number,
        "attempt": outcome.attempt,
        "tries": list(outcome.tries),
        "worker": epoch["worker"],
        "host": epoch["host"],
        "pid": site.pid,
        "ppid": site.ppid,
        "thread_id": site.thread_id,
        "thread_name": site.thread_name,
        "interpreter": site.interpreter,
        "started_at": instant(started_s),
        "offset_s": outcome.started_ns / 1e9,
        "wall_s": outcome.wall_ns / 1e9,
        "cpu_s": outcome.cpu_ns / 1e9,
        "sum_seen": outcome.sum_seen,
    }


def _not_run_record(job: JobEntry, batch: BatchEntry, index: int, item: Any) -> RecordDocument:
    assert batch.rest is not None
    return RecordDocument(
        value=None,
        error=batch.error or job.error if batch.rest == "timeout" else None,
        epoch=len(batch.epochs) or None,
        worker=None,
        host=None,
        pid=None,
        ppid=None,
        thread_id=None,
        thread_name=None,
        interpreter=None,
        started_at=None,
        offset_s=None,
        wall_s=None,
        cpu_s=None,
        sum_seen=None,
        index=index,
        item=item,
        state=batch.rest,
        batch=batch.index,
        attempt=0,
        tries=[],
    )
