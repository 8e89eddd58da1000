"""Read records by item index, in bounded memory however large the job is."""

from collections.abc import Container, Iterator, Sequence
from dataclasses import replace
from itertools import islice

from redis import Redis

from batchpool.ledger import keys
from batchpool.ledger.blocks.bitmap import set_bits
from batchpool.ledger.blocks.block_index import BlockIndex, Selection
from batchpool.ledger.blocks.item_codec import ITEMS_PER_BLOCK, ItemsBroken
from batchpool.ledger.blocks.record_fields import RecordDocument
from batchpool.ledger.broken import Broken
from batchpool.ledger.connection import Commands
from batchpool.ledger.jobs import Jobs
from batchpool.ledger.values.job_entries import BatchEntry, JobEntry

WINDOW = ITEMS_PER_BLOCK
"""Indices that are decoded at once; a block that spans two windows is decoded for both."""

ALL = Selection()


class Records:
    """The records of the jobs in one Redis."""

    def __init__(self, redis: Redis) -> None:
        self._redis: Commands = redis
        self._jobs = Jobs(redis)
        self._broken = Broken(redis)

    def page(
        self, job: JobEntry, first: int, limit: int, wanted: Selection = ALL
    ) -> tuple[list[RecordDocument], int | None]:
        """Up to `limit` records from the index `first` on, and where the next page begins."""
        found = list(islice(self.stream(job, first, wanted), limit + 1))
        if len(found) <= limit:
            return found, None
        return found[:limit], found[limit]["index"]

    def stream(
        self, job: JobEntry, first: int = 0, wanted: Selection = ALL
    ) -> Iterator[RecordDocument]:
        """The records by item index; an item that never ran has one once its batch has ended."""
        return self._stream(job, job.batches, first, wanted)

    def ran(self, job: JobEntry, states: frozenset[str]) -> Iterator[RecordDocument]:
        """The records of items that ran and ended in one of the states, by item index."""
        recorded = [replace(batch, rest=None) for batch in job.batches]
        return self._stream(job, recorded, 0, Selection(states))

    def _stream(
        self,
        job: JobEntry,
        batches: Sequence[BatchEntry],
        first: int,
        wanted: Selection,
    ) -> Iterator[RecordDocument]:
        for batch in batches:
            stop = batch.first + batch.count
            if stop <= first:
                continue
            # Which items have none of a state is known from all records only.
            opened = replace(wanted, states=None) if wanted.takes_rest(batch.rest) else wanted
            blocks = BlockIndex(self._redis, job.id, batch, opened)
            start = max(first, batch.first)
            while start < stop:
                # Windows end where blocks of items do, so that each of those is read once.
                end = min(stop, (start // WINDOW + 1) * WINDOW)
                yield from self._window(job, batch, blocks, range(start, end), wanted)
                start = end

    def _window(
        self,
        job: JobEntry,
        batch: BatchEntry,
        blocks: BlockIndex,
        window: range,
        wanted: Selection,
    ) -> Iterator[RecordDocument]:
        found = blocks.load(window)
        makes_rest = wanted.takes_rest(batch.rest)
        if not found and not makes_rest:
            return
        try:
            items = (
                self._jobs.items(job.id, window.start, len(window)) if wanted.has_items else None
            )
        except ItemsBroken:
            # Noted: its records are left out, as those of a block that cannot be read.
            return
        # Of an item whose block cannot be read nothing is said.
        recorded = self._recorded(job, batch, window) if makes_rest else window
        for index in window:
            record = found.get(index)
            if record is None and index not in recorded:
                record = not_run_record(job, batch, index)
            if record is None or not wanted.takes(record):
                continue
            if items:
                try:
                    record["item"] = items[index - window.start]
                except ItemsBroken:
                    return
            yield record

    def _recorded(self, job: JobEntry, batch: BatchEntry, window: range) -> Container[int]:
        """The items of a window that have a record, whether it can be read or not."""
        begin, end = (window.start - batch.first) // 8, (window.stop - batch.first) // 8
        bitmap = keys.batch_key(job.id, batch.index) + ":bits"
        bits = self._broken.or_empty(job.id, lambda: self._redis.getrange(bitmap, begin, end), None)
        if bits is None:
            return window
        return {batch.first + begin * 8 + at for at in set_bits(bits)}


def not_run_record(job: JobEntry, batch: BatchEntry, index: int) -> RecordDocument:
    """The record, without its item, of an item that never ran; `batch` has ended."""
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
        log=None,
        index=index,
        item=None,
        state=batch.rest,
        batch=batch.index,
        attempt=0,
        tries=[],
    )
