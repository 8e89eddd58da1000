"""Where one thread, coroutine or child shows what it runs, and puts its records."""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from batchpool.execution.finished_records import SlotRecords

Row = tuple[Any, ...]
"""The fields of an `Outcome`, which costs three times as much to make."""
Put = Callable[[Row], bool | None]
"""Takes the record of an item; returns whether that took time, or may have."""


class RunningSlot(Protocol):
    """Two numbers: when the running item was started (ns), and its index + 1, or 0 for none."""

    def __getitem__(self, place: int, /) -> int: ...

    def __setitem__(self, place: int, number: int, /) -> None: ...


class Slot(NamedTuple):
    """One slot of a batch: what it runs, who gets its records, and what keeps the last ones."""

    running: RunningSlot
    put: Put
    records: SlotRecords
