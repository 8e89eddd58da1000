"""Read the values of a job by item index, in bounded memory, without the rest of its records."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgpack
from redis import Redis

from batchpool.ledger import keys
from batchpool.ledger.blocks.block_head import BlockHead
from batchpool.ledger.blocks.record_codec import RecordColumns
from batchpool.ledger.broken import UNPARSABLE, Broken
from batchpool.ledger.connection import Commands
from batchpool.ledger.values.job_entries import BatchEntry, JobEntry
from batchpool.model import RECORD_STATES

WINDOW = 65_536
"""Values that are in memory at once, besides those of the blocks that reach over its ends."""

NO_VALUE: Any = object()
"""Stands where an item has no value: it did not succeed, or has no record yet."""

_SUCCEEDED = RECORD_STATES.index("succeeded")


class _Head(NamedTuple):
    at: int
    first: int
    last: int


class _Values(NamedTuple):
    """The values of a block; `states` are positions in RECORD_STATES."""

    indices: Sequence[int]
    states: bytes
    values: list[Any]


_NONE = _Values((), b"", [])


class ValuesReader:
    """Reads the values of the jobs of one Redis."""

    def __init__(self, redis: Redis) -> None:
        self._redis: Commands = redis
        self._broken = Broken(redis)

    def windows(
        self, job: JobEntry, first: int = 0, stop: int | None = None
    ) -> Iterator[list[Any]]:
        """The values of the items from `first` to before `stop` in lists of at most `WINDOW`.

        `NO_VALUE` stands where there is none.
        """
        stop = job.spec.count if stop is None else stop
        for batch in job.batches:
            wanted = range(max(first, batch.first), min(stop, batch.first + batch.count))
            if wanted:
                yield from self._batch(job.id, batch, wanted)

    def _batch(self, job_id: str, batch: BatchEntry, wanted: range) -> Iterator[list[Any]]:
        key = keys.batch_key(job_id, batch.index)
        raw = self._redis.lrange(f"{key}:heads", 0, -1)
        heads = [head for at, text in enumerate(raw) if (head := self._head(key, at, text))]
        kept: dict[int, _Values] = {}
        for start in range(wanted.start, wanted.stop, WINDOW):
            values = [NO_VALUE] * min(WINDOW, wanted.stop - start)
            window = range(start, start + len(values))
            reach = [h.at for h in heads if h.first < window.stop and h.last >= window.start]
            # Blocks that reach into the next window stay decoded, the others are dropped.
            kept = {at: kept[at] if at in kept else self._load(key, at, batch) for at in reach}
            for block in kept.values():
                _fill(values, window, block)
            yield values

    def _head(self, key: str, at: int, text: bytes) -> _Head | None:
        try:
            head = BlockHead.parse(text)
        except UNPARSABLE as error:
            self._broken.note_error("block", f"{key}:blocks", b"%d" % at, error)
            return None
        return _Head(at, head.first, head.last)

    def _load(self, key: str, at: int, batch: BatchEntry) -> _Values:
        block = self._redis.lindex(f"{key}:blocks", at)
        try:
            if not block:
                return _NONE  # The job was deleted, or has expired, while it was being read.
            columns = RecordColumns(block, "v", most=batch.count)
            return _Values(columns.indices, columns.state_codes, columns.values())
        except (*UNPARSABLE, msgpack.UnpackException) as error:
            self._broken.note_error("block", f"{key}:blocks", b"%d" % at, error)
            return _NONE


def _fill(values: list[Any], window: range, block: _Values) -> None:
    """Put those values of a block into the list that belong into its window."""
    indices, states, found = block
    if isinstance(indices, range) and not any(states):
        first, stop = max(indices.start, window.start), min(indices.stop, window.stop)
        if first < stop:
            part = found[first - indices.start : stop - indices.start]
            values[first - window.start : stop - window.start] = part
        return
    for index, state, value in zip(indices, states, found, strict=True):
        if state == _SUCCEEDED and index in window:
            values[index - window.start] = value
