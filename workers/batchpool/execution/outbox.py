"""The outbox: a small file that a child and its parent both map, which survives a SIGKILL.

    0  when the item that runs was started (monotonic ns)
    1  its index + 1, or 0
    2  written by the parent: no item of this chunk, or of an earlier one, may begin
    3  generation of what follows
    4  how many bytes of finished records follow that were not sent yet
    5  how many bytes the log of an item has, at the end of the file
    6  when that item was started
    …  the records, each with its length before it; the log

A record is stored here as soon as it is made, so that a SIGKILL loses none, and a long task
in C code that never releases the GIL delays none of those before it. So is what an item prints:
one that is killed for its time limit, or ends its process, has a log.
"""

import mmap
import struct
from collections.abc import Iterator
from pathlib import Path

from batchpool.execution.item_logs import MOST_ITEM_BYTES
from batchpool.system.mapped_file import reserve_space

OUTBOX_SUFFIX = ".outbox"
NOT_YET_NS = 2**62
"""A start in the far future: the item is about to begin, and no deadline counts for it."""
_WORDS = 7
_HEADER_BYTES = _WORDS * 8
_SIZE_BYTES = 64 << 10
_FILE_BYTES = _SIZE_BYTES + MOST_ITEM_BYTES
_LENGTH = struct.Struct("=I")


def outbox_path(folder: Path, pid: int, interpreter: int = 0) -> Path:
    """The path of a child's outbox."""
    return folder / f"{pid}-{interpreter}{OUTBOX_SUFFIX}"


class Outbox:
    """The child's side of an outbox."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._map = _map_file(path, create=True)
        self.words = memoryview(self._map)[:_HEADER_BYTES].cast("q")
        self._used = 0

    def put(self, record: bytes) -> bool:
        """Keep a finished record until it is sent; False when there is no room for it."""
        start = _HEADER_BYTES + self._used
        end = start + _LENGTH.size + len(record)
        if end > _SIZE_BYTES:
            return False
        self._map[start:end] = _LENGTH.pack(len(record)) + record
        # After the bytes: whoever reads this count may read all that it counts.
        self.words[4] = self._used = end - _HEADER_BYTES
        return True

    def show_log(self, started_ns: int, log: str) -> None:
        """Keep what the item that began then has printed so far."""
        data = log.encode()
        self.words[5] = 0
        self._map[_SIZE_BYTES : _SIZE_BYTES + len(data)] = data
        self.words[6] = started_ns
        self.words[5] = len(data)

    def unsent(self) -> bytes:
        """The records that wait."""
        return self._map[_HEADER_BYTES : _HEADER_BYTES + self._used]

    def clear(self) -> None:
        """Forget the records; call it when they are sent."""
        self.words[3] += 1
        self.words[4] = self._used = 0


class OutboxView:
    """The parent's side of an outbox."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._map = _map_file(path, create=False)
        self._words = memoryview(self._map)[:_HEADER_BYTES].cast("q")
        self._seen = (0, 0)

    def running(self) -> tuple[int, int] | None:
        """The item that runs now as (index, started_ns), or None."""
        words = self._words
        started_ns, place = words[0], words[1]
        # Read twice: between two words of one reading the next item may have begun.
        if place == 0 or words[0] != started_ns or words[1] != place:
            return None
        return place - 1, started_ns

    def revoke(self, chunk: int) -> None:
        """Revoke this chunk and all earlier ones: items that were not started will not start."""
        self._words[2] = chunk

    def unsent(self) -> bytes:
        """Records that wait and were not returned by the last call; the child may send them too."""
        generation, used = self._words[3], self._words[4]
        if used == 0 or (generation, used) == self._seen:
            return b""
        records = self._map[_HEADER_BYTES : _HEADER_BYTES + used]
        if self._words[3] != generation:
            return b""
        self._seen = (generation, used)
        return records

    def log(self, started_ns: int) -> str:
        """What the item that began then has printed."""
        size = self._words[5] if self._words[6] == started_ns else 0
        return self._map[_SIZE_BYTES : _SIZE_BYTES + size].decode("utf-8", "replace")

    def close(self) -> None:
        """Close the mapping and remove the file."""
        self._words.release()
        self._map.close()
        self.path.unlink(missing_ok=True)


def pack_record(record: bytes) -> bytes:
    """A record that is too large for an outbox, in the form that `split_records` reads."""
    return _LENGTH.pack(len(record)) + record


def split_records(data: bytes) -> Iterator[memoryview]:
    """The records in what `unsent` gave."""
    view = memoryview(data)
    place = 0
    while place < len(view):
        (length,) = _LENGTH.unpack_from(view, place)
        place += _LENGTH.size
        yield view[place : place + length]
        place += length


def read_outbox(path: Path) -> tuple[int, int] | None:
    """The item that ran in a process that has ended, as (index, started_ns)."""
    try:
        with open(path, "rb") as file:
            raw = file.read(_HEADER_BYTES)
    except FileNotFoundError:
        return None
    if len(raw) < _HEADER_BYTES:
        return None
    started_ns, place, *_ = struct.unpack(f"={_WORDS}q", raw)
    return (place - 1, started_ns) if place else None


def _map_file(path: Path, create: bool) -> mmap.mmap:
    with open(path, "w+b" if create else "r+b") as file:
        if create:
            reserve_space(file.fileno(), _FILE_BYTES)
        return mmap.mmap(file.fileno(), _FILE_BYTES)
