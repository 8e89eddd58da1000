"""What a process that runs tasks says about itself in a file that others can read.

A slot of 16 bytes per lane holds when its item was started (monotonic ns) and the item's
index + 1, or 0. It is written with two memory stores per item, and read by the supervisor that
enforces deadlines, and by whoever must find out what ran in a process that died.
"""

import mmap
import struct
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from batchpool.execution.outbox import OUTBOX_SUFFIX, read_outbox
from batchpool.system.mapped_file import reserve_space

IN_FLIGHT_NAME = "in-flight"
"""The file in a station's folder that says which items this process itself runs right now."""


def read_in_flight(folder: Path) -> list[tuple[int, int]]:
    """The items that run, or ran when it died, in the process itself whose station had `folder`.

    In its threads, coroutines and interpreters, not in its child processes; as (index, started_ns).
    """
    outboxes = [path for path in folder.glob(f"*{OUTBOX_SUFFIX}") if not path.stem.endswith("-0")]
    found = [item for item in map(read_outbox, outboxes) if item is not None]
    return read_in_flight_table(folder / IN_FLIGHT_NAME) + found


class RunningSlot(Protocol):
    """Two numbers: when the item that runs was started (ns), and its index + 1, or 0 for none."""

    def __setitem__(self, place: int, number: int, /) -> None: ...


_SLOT = struct.Struct("=qq")


class InFlightTable:
    """Slots in a file of its own, for the lanes of one process; a context manager.

    Promises: after `close()` no descriptor or mapping of it is left, whoever still has a slot.
    """

    def __init__(self, path: Path, count: int) -> None:
        self.path = path
        with open(path, "w+b") as file:
            reserve_space(file.fileno(), _SLOT.size * count)
            self._map = mmap.mmap(file.fileno(), _SLOT.size * count)
        with memoryview(self._map) as view, view.cast("q") as numbers:
            self._slots = [numbers[2 * number : 2 * number + 2] for number in range(count)]

    def slot(self, number: int) -> RunningSlot:
        """The slot of lane number `lane`; it cannot be written to after `close()`."""
        return self._slots[number]

    def close(self) -> None:
        """Remove the file and the mapping."""
        self.path.unlink(missing_ok=True)
        # Not left to reference counts: a slot that is kept somewhere, if only in a cycle that the
        # garbage collector has not looked at yet, would keep the mapping and its descriptor.
        for slot in self._slots:
            slot.release()
        self._map.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        frames: TracebackType | None,
    ) -> None:
        self.close()


def read_in_flight_table(path: Path) -> list[tuple[int, int]]:
    """The items that run now, or ran when the process died, as (index, started_ns)."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return []
    slots = _SLOT.iter_unpack(raw[: len(raw) - len(raw) % _SLOT.size])
    return [(index - 1, started_ns) for started_ns, index in slots if index > 0]
