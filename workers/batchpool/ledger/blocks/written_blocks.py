"""Read the blocks of a batch in the order in which they were written."""

import zlib
from collections.abc import Callable, Iterator
from typing import TypeVar

import msgpack
from redis import Redis

from batchpool.ledger import keys
from batchpool.ledger.blocks.block_head import BlockHead
from batchpool.ledger.broken import UNPARSABLE, Broken
from batchpool.ledger.connection import Commands
from batchpool.ledger.values.job_entries import BatchEntry

AT_ONCE = 8
"""Blocks that are fetched in one round trip."""

Decoded = TypeVar("Decoded")


class WrittenBlocks:
    """Reads the blocks of the jobs of one Redis."""

    def __init__(self, redis: Redis) -> None:
        self._redis: Commands = redis
        self._broken = Broken(redis)

    def read(
        self,
        job_id: str,
        batch: BatchEntry,
        after: int,
        decode: Callable[[bytes, BlockHead], Decoded],
    ) -> Iterator[tuple[int, Decoded | None]]:
        """The epoch of each block but for the first `after`, and what `decode` makes of it.

        That is None of a block that cannot be read. Ends at a block of an epoch that `batch`,
        which was read before, does not know.
        """
        key = keys.batch_key(job_id, batch.index)
        heads = self._range(job_id, key + ":heads", after, -1)
        for start in range(0, len(heads), AT_ONCE):
            first = after + start
            blocks = self._range(job_id, key + ":blocks", first, first + AT_ONCE - 1)
            for at, (text, block) in enumerate(
                zip(heads[start : start + AT_ONCE], blocks, strict=False), first
            ):
                epoch = 0
                try:
                    head = BlockHead.parse(text)
                    epoch = head.epoch
                    if epoch > len(batch.epochs):
                        return
                    found = decode(block, head) if epoch > 0 else None
                except (*UNPARSABLE, zlib.error, msgpack.UnpackException) as error:
                    self._broken.note_error("block", key + ":blocks", b"%d" % at, error)
                    found = None
                yield epoch, found

    def _range(self, job_id: str, key: str, first: int, last: int) -> list[bytes]:
        return self._broken.or_empty(job_id, lambda: self._redis.lrange(key, first, last), [])
