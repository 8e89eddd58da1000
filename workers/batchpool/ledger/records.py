"""Read records by item index, in bounded memory however large the job is."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, TypedDict

from redis import Redis

from batchpool.ledger.blocks.block_index import BlockIndex
from batchpool.ledger.blocks.item_codec import ITEMS_PER_BLOCK, ItemsBroken
from batchpool.ledger.connection import Commands
from batchpool.ledger.jobs import Jobs
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
        return self._stream(job, job.batches, first, states)

    def ran(self, job: JobEntry, states: frozenset[str]) -> Iterator[RecordDocument]:
        """The records of items that ran and ended in one of the states, by item index."""
        recorded = [replace(batch, rest=None) for batch in job.batches]
        return self._stream(job, recorded, 0, states)

    def _stream(
        self,
        job: JobEntry,
        batches: Sequence[BatchEntry],
        first: int,
        states: frozenset[str] | None,
    ) -> Iterator[RecordDocument]:
        for batch in batches:
            stop = batch.first + batch.count
            if stop <= first:
                continue
            # Which items have none of a state is known from all records only.
            wanted = None if batch.rest and (not states or batch.rest in states) else states
            blocks = BlockIndex(self._redis, job.id, batch, wanted)
            start = max(first, batch.first)
            while start < stop:
                # Windows end where blocks of items do, so that each of those is read once.
                end = min(stop, (start // WINDOW + 1) * WINDOW)
                yield from self._window(job, batch, blocks, range(start, end), states)
                start = end

    def _window(
        self,
        job: JobEntry,
        batch: BatchEntry,
        blocks: BlockIndex,
        window: range,
        states: frozenset[str] | None,
    ) -> Iterator[RecordDocument]:
        found = blocks.load(window)
        rest = batch.rest
        if not found and not (rest and (not states or rest in states)):
            return
        try:
            items = self._jobs.items(job.id, window.start, len(window))
        except ItemsBroken:
            # Noted: its records are left out, as those of a block that cannot be read.
            return
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
