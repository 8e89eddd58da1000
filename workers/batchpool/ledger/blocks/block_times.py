"""Read where and when the records of a batch ran, block by block, without their values."""

from collections.abc import Iterator
from typing import NamedTuple

from redis import Redis

from batchpool.ledger.blocks.block_head import BlockHead
from batchpool.ledger.blocks.record_codec import BlockTimes, decode_times
from batchpool.ledger.blocks.written_blocks import WrittenBlocks
from batchpool.ledger.values.job_entries import BatchEntry


class TimedBlock(NamedTuple):
    """A block of a batch; `times` is None where it cannot be read."""

    epoch: int
    times: BlockTimes | None


class TimesReader:
    """Reads the times in the blocks of the jobs of one Redis."""

    def __init__(self, redis: Redis) -> None:
        self._blocks = WrittenBlocks(redis)

    def read(self, job_id: str, batch: BatchEntry, after: int = 0) -> Iterator[TimedBlock]:
        """The blocks of a batch in the order in which they were written, but for the first `after`.

        Ends at a block of an epoch that `batch`, which was read before, does not know.
        """

        def decode(block: bytes, head: BlockHead) -> BlockTimes:
            return decode_times(block, most=batch.count)

        for epoch, times in self._blocks.read(job_id, batch, after, decode):
            yield TimedBlock(epoch, times)
