"""The shared sum, which each task adds its value to: the notebook's lesson, made measurable.

The exact sum of a job always comes from its records; what is observed here shows what a
strategy did to the same numbers.

    none      nothing is added
    global    a module global, as in the notebook: threads share it, each process and each
              interpreter has one of its own, and the parent sees only its own
    locked    one sum truly shared inside the batch, under a lock
    racy      the same sum without the lock: read, yield, write
"""

import fcntl
import marshal
import mmap
import threading
import time
from collections.abc import Callable
from math import isfinite
from pathlib import Path
from typing import Any, Protocol

from batchpool.system.mapped_file import reserve_space

Number = int | float
Add = Callable[[Any], Number | None]

_YIELD_S = 0.001
# Not 0: threads that wake from equal sleeps come 50 µs apart, and a bare yield is over by then.
# With a millisecond the notebook's five tasks lose updates in nearly every run.
_PLACE_BYTES = 4096
_FILE_BYTES = 3 * _PLACE_BYTES
total: Number = 0
"""The sum of the strategy `global`: one per process and interpreter, reset before each batch."""


class SharedSum(Protocol):
    """One batch's shared sum as one process or interpreter sees it."""

    def add(self, value: Any) -> Number | None:
        """Add a task's value; returns the sum seen after that, None if it is no number."""

    def observed(self) -> Number | None:
        """The sum now, an int if it is integral."""


class GlobalSum:
    """Adds to the module global of this process."""

    def __init__(self) -> None:
        global total
        total = 0

    def add(self, value: Any) -> Number | None:
        global total
        kind = type(value)
        if kind is not int and kind is not float:
            return None
        try:
            # One statement, no call: nothing can come between the read and the write under a GIL.
            seen = total = total + value
        except OverflowError:
            seen = total
        return to_json_number(seen)

    def observed(self) -> Number | None:
        return to_json_number(total)


class LockedSum:
    """One number of this process under a lock."""

    def __init__(self) -> None:
        self._total: Number = 0
        self._lock = threading.Lock()

    def add(self, value: Any) -> Number | None:
        kind = type(value)
        if kind is not int and kind is not float:
            return None
        with self._lock:
            self._total = add_or_keep(self._total, value)
            return to_json_number(self._total)

    def observed(self) -> Number | None:
        return to_json_number(self._total)


class RacySum:
    """One number of this process, read and written without a lock and with a pause between."""

    def __init__(self) -> None:
        self._total: Number = 0

    def add(self, value: Any) -> Number | None:
        kind = type(value)
        if kind is not int and kind is not float:
            return None
        read = self._total
        time.sleep(_YIELD_S)
        self._total = read = add_or_keep(read, value)
        return to_json_number(read)

    def observed(self) -> Number | None:
        return to_json_number(self._total)


IN_PROCESS: dict[str, type[SharedSum] | None] = {
    "none": None,
    "global": GlobalSum,
    "locked": LockedSum,
    "racy": RacySum,
}


class FileSum:
    """One number that processes and interpreters share: in a mapped file, locked by the kernel.

    `flock`, not a semaphore: the kernel releases it when its holder is killed, whereas a
    `multiprocessing.Value` would stay locked for ever.

    The file holds two places and says which one counts: a writer that is killed half-way
    leaves the other one as it was.
    """

    def __init__(self, path: Path, locked: bool, create: bool = False) -> None:
        # Opened here, not inherited: a lock belongs to one opening of the file.
        self._file = open(path, "w+b" if create else "r+b", buffering=0)
        if create:
            reserve_space(self._file.fileno(), _FILE_BYTES)
        self._map = mmap.mmap(self._file.fileno(), _FILE_BYTES)
        self._locked = locked
        if create:
            self._write(0)

    def add(self, value: Any) -> Number | None:
        kind = type(value)
        if kind is not int and kind is not float:
            return None
        if not self._locked:
            read = self._read()
            time.sleep(_YIELD_S)
            return to_json_number(self._write(add_or_keep(read, value)))
        fcntl.flock(self._file, fcntl.LOCK_EX)
        try:
            return to_json_number(self._write(add_or_keep(self._read(), value)))
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def observed(self) -> Number | None:
        return to_json_number(self._read())

    def close(self) -> None:
        """Close the file; its maker removes it."""
        self._map.close()
        self._file.close()

    def _read(self) -> Number:
        start = _PLACE_BYTES * (1 + self._map[0])
        try:
            number: Number = marshal.loads(self._map[start : start + _PLACE_BYTES])  # noqa: S302
        except (EOFError, TypeError, ValueError):
            return 0  # two racy writers at once in one place; what is lost is the lesson
        return number

    def _write(self, number: Number) -> Number:
        place = 1 - self._map[0]
        start = _PLACE_BYTES * (1 + place)
        packed = marshal.dumps(number)
        self._map[start : start + len(packed)] = packed
        self._map[0] = place
        return number


def child_sum(strategy: str, path: Path) -> SharedSum | None:
    """The shared sum as a child of a batch sees it; `path` is that of the batch's FileSum."""
    if strategy in ("locked", "racy"):
        return FileSum(path, strategy == "locked")
    return GlobalSum() if strategy == "global" else None


def add_or_keep(left: Number, right: Number) -> Number:
    """The sum as Python adds; an int too large for a float leaves the sum as it was."""
    try:
        return left + right
    except OverflowError:
        return left


def to_json_number(number: Number) -> Number | None:
    """The number as JSON can show it: integral ones as int, none at all beyond floats."""
    if type(number) is float:
        if not isfinite(number):
            return None
        return int(number) if number.is_integer() else number
    return number
