"""The blocks of one batch: which of them to open, by their headers, and what they hold."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import msgpack

from batchpool.ledger import keys
from batchpool.ledger.blocks.block_head import BlockHead
from batchpool.ledger.blocks.record_fields import RecordDocument, read_records
from batchpool.ledger.broken import UNPARSABLE, Broken
from batchpool.ledger.connection import Commands
from batchpool.ledger.values.job_entries import BatchEntry


@dataclass(frozen=True)
class Selection:
    """The records that are wanted, and what is needed of each.

    Args:
        states: None for all.
        fields: what is needed besides the index and state, others may lack; None for all.
        has_log: only those that have a log, which is then one of the fields.
    """

    states: Collection[str] | None = None
    fields: Collection[str] | None = None
    has_log: bool = False

    def opens(self, head: BlockHead) -> bool:
        """Whether the block may have such records."""
        return (not self.states or head.has_any(self.states)) and (
            head.logs > 0 or not self.has_log
        )

    def takes(self, record: RecordDocument) -> bool:
        """Whether a record is wanted."""
        return (not self.states or record["state"] in self.states) and (
            not self.has_log or record["log"] is not None
        )

    def takes_rest(self, state: str | None) -> bool:
        """Whether records of items that never ran are wanted: none have a log."""
        return state is not None and not self.has_log and (not self.states or state in self.states)

    @property
    def has_items(self) -> bool:
        return self.fields is None or "item" in self.fields


class BlockIndex:
    """The headers of one batch's blocks, and the last blocks decoded.

    Args:
        wanted: only blocks that may have such records are opened.
    """

    def __init__(
        self,
        redis: Commands,
        job_id: str,
        batch: BatchEntry,
        wanted: Selection,
    ) -> None:
        self._redis: Commands = redis
        self._broken = Broken(redis)
        self._job_id = job_id
        self._batch = batch
        self._fields = wanted.fields
        key = keys.batch_key(job_id, batch.index)
        self._blocks = key + ":blocks"
        raw: list[bytes] = self._broken.or_empty(
            job_id, lambda: redis.lrange(key + ":heads", 0, -1), []
        )
        heads = [(at, self._head(at, text)) for at, text in enumerate(raw)]
        # An epoch that began after the job was read has no owner in `batch`: left to the next read.
        self._heads = {
            at: head
            for at, head in heads
            if head and 1 <= head.epoch <= len(batch.epochs) and wanted.opens(head)
        }
        self._decoded: dict[int, list[RecordDocument]] = {}

    def load(self, window: range) -> dict[int, RecordDocument]:
        """Index -> record, without its item, within `window` of the blocks that are opened.

        Those have other records too.
        """
        wanted = [
            at
            for at, head in self._heads.items()
            if head.first < window.stop and head.last >= window.start
        ]
        # Blocks that reach into the next window stay decoded, the others are dropped.
        self._decoded = {at: self._decoded[at] for at in wanted if at in self._decoded}
        self._decode([at for at in wanted if at not in self._decoded])
        return {
            record["index"]: record
            for at in wanted
            for record in self._decoded[at]
            if record["index"] in window
        }

    def _decode(self, missing: Sequence[int]) -> None:
        gone: list[bytes | None] = [None] * len(missing)
        blocks = self._broken.or_empty(self._job_id, lambda: self._load(missing), gone)
        for at, block in zip(missing, blocks, strict=True):
            # None: the job was deleted, or has expired, while it was being read.
            self._decoded[at] = self._records(at, block) if block else []

    def _load(self, places: Sequence[int]) -> list[bytes | None]:
        with self._redis.pipeline(transaction=False) as pipe:
            for at in places:
                pipe.lindex(self._blocks, at)
            found: list[bytes | None] = pipe.execute()
        return found

    def _records(self, at: int, block: bytes) -> list[RecordDocument]:
        try:
            return read_records(block, self._batch, self._heads[at].epoch, self._fields)
        except (*UNPARSABLE, msgpack.UnpackException) as error:
            self._broken.note_error("block", self._blocks, b"%d" % at, error)
            return []

    def _head(self, at: int, raw: bytes) -> BlockHead | None:
        try:
            return BlockHead.parse(raw)
        except UNPARSABLE as error:
            self._broken.note_error("block", self._blocks, b"%d" % at, error)
            return None
