"""Read the values of a job by item index, in bounded memory, without the rest of its records."""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

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

_T = TypeVar("_T")
_SUCCEEDED = RECORD_STATES.index("succeeded")


class _Head(NamedTuple):
    """Where a block lies; `whole` says that it has a value for each index in its range."""

    at: int
    first: int
    last: int
    whole: bool


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
    ) -> Iterator[list[Any] | str]:
        """The values of the items from `first` to before `stop`.

        They come in lists of at most `WINDOW`, with `NO_VALUE` where there is none, or as the text
        of a JSON list, where a block has exactly these.
        """
        stop = job.spec.count if stop is None else stop
        for batch in job.batches:
            wanted = range(max(first, batch.first), min(stop, batch.first + batch.count))
            if wanted:
                yield from self._batch(job.id, batch, wanted)

    def _batch(self, job_id: str, batch: BatchEntry, wanted: range) -> Iterator[list[Any] | str]:
        key = keys.batch_key(job_id, batch.index)
        raw: list[bytes] = self._broken.or_empty(
            job_id, lambda: self._redis.lrange(f"{key}:heads", 0, -1), []
        )
        heads = [head for at, text in enumerate(raw) if (head := self._head(key, at, text))]
        whole = {head.first: head for head in heads if head.whole and head.last < wanted.stop}
        firsts = [*sorted(whole), wanted.stop]
        kept: dict[int, _Values] = {}
        start = wanted.start
        while start < wanted.stop:
            if start in whole and (text := self._text(job_id, whole[start], batch)):
                # To make it anew would cost most of what reading costs.
                yield text
                start = whole[start].last + 1
                continue
            following = firsts[bisect_right(firsts, start)]
            window = range(start, min(start + WINDOW, following))
            values = [NO_VALUE] * len(window)
            reach = [h.at for h in heads if h.first < window.stop and h.last >= window.start]
            # Blocks that reach into the next window stay decoded, the others are dropped.
            kept = {at: kept[at] if at in kept else self._load(job_id, at, batch) for at in reach}
            for block in kept.values():
                _fill(values, window, block)
            yield values
            start = window.stop

    def _head(self, key: str, at: int, text: bytes) -> _Head | None:
        try:
            head = BlockHead.parse(text)
        except UNPARSABLE as error:
            self._broken.note_error("block", f"{key}:blocks", b"%d" % at, error)
            return None
        whole = head.counts == {"succeeded": head.last + 1 - head.first}
        return _Head(at, head.first, head.last, whole)

    def _text(self, job_id: str, head: _Head, batch: BatchEntry) -> str | None:
        """The values of a block as it holds them, if they are those of its header's range."""

        def read(columns: RecordColumns) -> str | None:
            in_range = columns.indices == range(head.first, head.last + 1)
            return columns.values_text() if in_range else None

        return self._read(job_id, head.at, batch, read)

    def _load(self, job_id: str, at: int, batch: BatchEntry) -> _Values:
        def read(columns: RecordColumns) -> _Values:
            return _Values(columns.indices, columns.state_codes, columns.values())

        return self._read(job_id, at, batch, read) or _NONE

    def _read(
        self, job_id: str, at: int, batch: BatchEntry, read: Callable[[RecordColumns], _T]
    ) -> _T | None:
        """What is read of a block; None if it is gone or broken."""
        blocks = keys.batch_key(job_id, batch.index) + ":blocks"
        block = self._broken.or_empty(job_id, lambda: self._redis.lindex(blocks, at), None)
        try:
            # The job was deleted, or has expired, while it was being read.
            return read(RecordColumns(block, "v", most=batch.count)) if block else None
        except (*UNPARSABLE, msgpack.UnpackException) as error:
            self._broken.note_error("block", blocks, b"%d" % at, error)
            return None


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
