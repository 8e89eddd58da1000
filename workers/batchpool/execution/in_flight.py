"""The in-flight table: a file in which a process shows the items that it runs.

A slot of 16 bytes holds when its item was started (monotonic ns) and the item's
index + 1, or 0. It is written with two memory stores per item, and read by the parent that enforces
deadlines, and by the worker to find out what ran in a runner that died.
"""

import mmap
import struct
from pathlib import Path

from batchpool.execution.outbox import OUTBOX_SUFFIX, read_outbox
from batchpool.execution.slot import RunningSlot
from batchpool.system.mapped_file import reserve_space

IN_FLIGHT_NAME = "in-flight"
"""The in-flight table of a runner, in its folder."""


def read_in_flight(folder: Path) -> list[tuple[int, int]]:
    """The items that a runner with this folder runs, or ran when it died, as (index, started_ns).

    In its threads, coroutines and interpreters, and in its child processes: any of them may have
    ended it.
    """
    outboxes = folder.glob(f"*{OUTBOX_SUFFIX}")
    found = [item for item in map(read_outbox, outboxes) if item is not None]
    return read_in_flight_table(folder / IN_FLIGHT_NAME) + found


def is_any_in_flight(folder: Path) -> bool:
    """Whether an item runs, or ran at its end, in a process that uses `folder`, or below it."""
    if read_in_flight_table(folder / IN_FLIGHT_NAME):
        return True
    return any(read_outbox(path) for path in folder.glob(f"*{OUTBOX_SUFFIX}"))


_SLOT = struct.Struct("=qq")


class InFlightTable:
    """The slots of one process in a file of their own, which is kept from batch to batch.

    To make and unmap a file costs as much as a hundred no-ops. A slot cannot be written to after
    `clear()`, and after `close()` no descriptor or mapping is left, even if a slot is referenced.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._map: mmap.mmap | None = None
        self._slots: list[memoryview] = []

    def open(self, count: int) -> None:
        """Have so many slots, all of them empty."""
        # A task may have removed the file.
        if self._map is None or len(self._map) < _SLOT.size * count or not self.path.exists():
            self.close()
            with open(self.path, "w+b") as file:
                reserve_space(file.fileno(), _SLOT.size * count)
                self._map = mmap.mmap(file.fileno(), _SLOT.size * count)
        with memoryview(self._map) as view, view.cast("q") as numbers:
            self._slots = [numbers[2 * number : 2 * number + 2] for number in range(count)]

    def slot(self, number: int) -> RunningSlot:
        """The slot of that number."""
        return self._slots[number]

    def clear(self) -> None:
        """Empty all slots, and let nobody write to them any more."""
        for slot in self._slots:
            slot[0] = slot[1] = 0
            # Not left to reference counts: a slot that is kept somewhere, if only in a cycle that
            # the garbage collector has not looked at yet, would keep the mapping, and its
            # descriptor, or name an item that runs in no batch.
            slot.release()
        self._slots.clear()

    def close(self) -> None:
        """Remove the file and the mapping."""
        self.clear()
        if self._map is not None:
            self._map.close()
            self._map = None
            self.path.unlink(missing_ok=True)


def read_in_flight_table(path: Path) -> list[tuple[int, int]]:
    """The items that run now, or ran when the process died, as (index, started_ns)."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return []
    slots = _SLOT.iter_unpack(raw[: len(raw) - len(raw) % _SLOT.size])
    return [(index - 1, started_ns) for started_ns, index in slots if index > 0]
