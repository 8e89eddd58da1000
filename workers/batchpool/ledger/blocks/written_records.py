"""Read the records of a running job in the order in which its batches wrote them."""

from collections.abc import Iterator, Sequence
from typing import Any

from redis import Redis

from batchpool.ledger import keys
from batchpool.ledger.blocks.bitmap import set_bits
from batchpool.ledger.blocks.block_head import BlockHead
from batchpool.ledger.blocks.block_index import Selection
from batchpool.ledger.blocks.item_codec import ITEMS_PER_BLOCK, ItemsBroken
from batchpool.ledger.blocks.record_fields import RecordDocument, read_records
from batchpool.ledger.blocks.written_blocks import WrittenBlocks
from batchpool.ledger.broken import Broken
from batchpool.ledger.connection import Commands
from batchpool.ledger.jobs import Jobs
from batchpool.ledger.records import not_run_record
from batchpool.ledger.values.job_entries import BatchEntry, JobEntry
from batchpool.model import TERMINAL_STATES

BITS = ITEMS_PER_BLOCK
"""Items whose records are made at once, of those that never ran; a multiple of 8."""


class WrittenRecords:
    """Reads the records of one job for one reader.

    Where the reader is within a batch is a number: of the blocks that were read; or, once the batch
    has ended and all of them were, ~n when its items below its n-th were looked at for those that
    never ran. The position after the last one is `end_of(batch)`.
    """

    def __init__(self, redis: Redis, wanted: Selection) -> None:
        self._redis: Commands = redis
        self._blocks = WrittenBlocks(redis)
        self._jobs = Jobs(redis)
        self._broken = Broken(redis)
        self._wanted = wanted
        self._items: Sequence[Any] = ()
        self._items_from = 0

    def read(
        self, job: JobEntry, batch: BatchEntry, position: int
    ) -> Iterator[tuple[int, list[RecordDocument]]]:
        """The records after a position, piece by piece, each with the position that follows it."""
        if position >= 0:
            for number, records in self._written(job, batch, position):
                yield number, self._with_items(job, records)
            if batch.state not in TERMINAL_STATES:
                return
            position = ~0
        if not self._wanted.takes_rest(batch.rest):
            yield end_of(batch), []
            return
        for start in range(~position, batch.count, BITS):
            records = self._not_run(job, batch, start)
            yield ~min(start + BITS, batch.count), self._with_items(job, records)

    def _written(
        self, job: JobEntry, batch: BatchEntry, position: int
    ) -> Iterator[tuple[int, list[RecordDocument]]]:
        wanted = self._wanted

        def decode(block: bytes, head: BlockHead) -> list[RecordDocument]:
            if not wanted.opens(head):
                return []
            records = read_records(block, batch, head.epoch, wanted.fields)
            return list(filter(wanted.takes, records))

        blocks = self._blocks.read(job.id, batch, position, decode)
        for number, (_, records) in enumerate(blocks, position + 1):
            yield number, records or []

    def _not_run(self, job: JobEntry, batch: BatchEntry, start: int) -> list[RecordDocument]:
        """Records of the items of an ended batch that never ran, from its item `start` on."""
        bitmap = keys.batch_key(job.id, batch.index) + ":bits"
        first, last = start // 8, (start + BITS) // 8 - 1
        bits = self._broken.or_empty(
            job.id, lambda: self._redis.getrange(bitmap, first, last), None
        )
        if bits is None:
            return []
        recorded = set(set_bits(bits))
        return [
            not_run_record(job, batch, batch.first + start + at)
            for at in range(min(BITS, batch.count - start))
            if at not in recorded
        ]

    def _with_items(self, job: JobEntry, records: Sequence[RecordDocument]) -> list[RecordDocument]:
        """The records with their items; without those whose items cannot be read."""
        if not self._wanted.has_items:
            return list(records)
        found = []
        for record in records:
            at = record["index"] - self._items_from
            if not 0 <= at < len(self._items):
                self._load_items(job, record["index"])
                at = record["index"] - self._items_from
            if at < len(self._items):
                record["item"] = self._items[at]
                found.append(record)
        return found

    def _load_items(self, job: JobEntry, index: int) -> None:
        """Keep the block of items that has this one; none where it cannot be read."""
        first = index - index % ITEMS_PER_BLOCK
        count = min(ITEMS_PER_BLOCK, job.spec.count - first)
        try:
            self._items = self._jobs.items(job.id, first, count)
        except ItemsBroken:
            self._items = ()
        self._items_from = first


def end_of(batch: BatchEntry) -> int:
    """The position after all records of a batch."""
    return ~batch.count
