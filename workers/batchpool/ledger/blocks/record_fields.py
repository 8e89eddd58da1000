"""The record of an item as the API shows it, field by field from the columns of its block."""

from collections.abc import Callable, Collection, Iterable, Iterator
from functools import partial
from itertools import repeat
from typing import Any, NamedTuple, TypedDict, cast

from batchpool.ledger.blocks.record_codec import RecordColumns
from batchpool.ledger.values.job_entries import BatchEntry, Epoch
from batchpool.model import ExecutionSite, FailedAttempt, RecordState, TaskError
from batchpool.timestamps import instant


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
    log: str | None


RECORD_FIELDS = tuple(RecordDocument.__annotations__)


class _Block(NamedTuple):
    columns: RecordColumns
    batch: BatchEntry
    number: int

    @property
    def epoch(self) -> Epoch:
        return self.batch.epochs[self.number - 1]

    def started_at(self) -> Iterator[str]:
        started_s = self.epoch["started_ms"] / 1000
        return (instant(started_s + ns / 1e9) for ns in self.columns.starts_ns())

    def site(self, position: int) -> Iterator[Any]:
        return (site[position] for site in self.columns.sites())


class _Field(NamedTuple):
    """A field: the letters of the columns that it needs, and how it is made from them."""

    letters: str
    read: Callable[[_Block], Iterable[Any]]


_SITE = {
    name: _Field("Ll", partial(lambda position, block: block.site(position), position))
    for position, name in enumerate(ExecutionSite._fields)
}
_FIELDS: dict[str, _Field] = {
    "index": _Field("", lambda block: block.columns.indices),
    "item": _Field("", lambda block: repeat(None)),
    "state": _Field("", lambda block: block.columns.states()),
    "value": _Field("v", lambda block: block.columns.values()),
    "error": _Field("e", lambda block: block.columns.errors()),
    "batch": _Field("", lambda block: repeat(block.batch.index)),
    "epoch": _Field("", lambda block: repeat(block.number)),
    "attempt": _Field("a", lambda block: (made for made, _ in block.columns.attempts())),
    "tries": _Field("a", lambda block: (list(tries) for _, tries in block.columns.attempts())),
    "worker": _Field("", lambda block: repeat(block.epoch["worker"])),
    "host": _Field("", lambda block: repeat(block.epoch["host"])),
    **_SITE,
    "started_at": _Field("o", _Block.started_at),
    "offset_s": _Field("o", lambda block: (ns / 1e9 for ns in block.columns.starts_ns())),
    "wall_s": _Field("w", lambda block: (ns / 1e9 for ns in block.columns.walls_ns())),
    "cpu_s": _Field("c", lambda block: (ns / 1e9 for ns in block.columns.cpus_ns())),
    "sum_seen": _Field("g", lambda block: block.columns.sums_seen()),
    "log": _Field("t", lambda block: block.columns.logs()),
}


def read_records(
    block: bytes, batch: BatchEntry, epoch: int, fields: Collection[str] | None = None
) -> list[RecordDocument]:
    """The records of a block, by index, all without their items.

    Args:
        epoch: the number of the one that wrote the block.
        fields: only these are read, and the index and state besides.

    Raises:
        ValueError: as `RecordColumns`.
    """
    names = [
        name for name in RECORD_FIELDS if fields is None or name in {"index", "state", *fields}
    ]
    letters = "".join(_FIELDS[name].letters for name in names)
    found = _Block(RecordColumns(block, letters, most=batch.count), batch, epoch)
    rows = zip(*(_FIELDS[name].read(found) for name in names), strict=False)
    return cast(list[RecordDocument], [dict(zip(names, row, strict=True)) for row in rows])
