"""Read where and when the records of a batch ran, block by block, without their values."""

import zlib
from collections.abc import Iterator
from typing import NamedTuple

import msgpack
from redis import Redis

from batchpool.ledger import keys
from batchpool.ledger.blocks.block_head import BlockHead
from batchpool.ledger.blocks.record_codec import BlockTimes, decode_times
from batchpool.ledger.broken import UNPARSABLE, Broken
from batchpool.ledger.connection import Commands
from batchpool.ledger.values.job_entries import BatchEntry

AT_ONCE = 8
"""Blocks that are fetched in one round trip: they hold the values too."""


class TimedBlock(NamedTuple):
    """A block of a batch; `times` is None where it cannot be read."""

    epoch: int
    times: BlockTimes | None


class TimesReader:
    """Reads the times in the blocks of the jobs of one Redis."""

    def __init__(self, redis: Redis) -> None:
        self._redis: Commands = redis
        self._broken = Broken(redis)

    def read(self, job_id: str, batch: BatchEntry, after: int = 0) -> Iterator[TimedBlock]:
        """The blocks of a batch in the order in which they were written, but for the first `after`.

        Ends at a block of an epoch that `batch`, which was read before, does not know.
        """
        key = keys.batch_key(job_id, batch.index)
        heads = self._redis.lrange(key + ":heads", after, -1)
        for start in range(0, len(heads), AT_ONCE):
            first = after + start
            blocks = self._redis.lrange(key + ":blocks", first, first + AT_ONCE - 1)
            for at, head, block in zip(
                range(first, first + AT_ONCE), heads[start : start + AT_ONCE], blocks, strict=False
            ):
                found = self._read_block(f"{key}:blocks", at, head, block, batch)
                if found.epoch > len(batch.epochs):
                    return
                yield found

    def _read_block(
        self, name: str, at: int, head: bytes, block: bytes, batch: BatchEntry
    ) -> TimedBlock:
        epoch = 0
        try:
            epoch = BlockHead.parse(head).epoch
            times = decode_times(block, most=batch.count) if epoch > 0 else None
            return TimedBlock(epoch, times)
        except (*UNPARSABLE, zlib.error, msgpack.UnpackException) as error:
            self._broken.note_error("block", name, b"%d" % at, error)
            return TimedBlock(epoch, None)
