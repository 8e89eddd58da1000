"""The last records that each slot of a process made, in a file that outlives the process.

A task that holds the GIL until its job's limit, or ends its process, would take with it what its
neighbours have finished and nobody has written to the ledger yet. The file is read by the worker
when the process is dead, so it holds numbers and JSON only.

    header        slots, bytes per slot, length of the label, the label: whose batch it is
    per slot      a stamp for each of two halves, then the halves
    per half      rows: index, start, wall and CPU time, number, stamp + kind; behind some a text
                  of as many bytes as the number says

A half that is full is followed by the other one, under a new stamp: a row counts if it has the
stamp of its half. The stamp is stored last, so a row is whole or does not count.
"""

import marshal
import mmap
import struct
from collections.abc import Iterator, Sequence
from itertools import count
from json import dumps, loads
from pathlib import Path
from typing import Any

from batchpool.model import RECORD_STATES, ExecutionSite, Outcome
from batchpool.system.mapped_file import reserve_space

FINISHED_NAME = "finished"
_HEADER = struct.Struct("=3q104s")
_STAMP = struct.Struct("=q")
_STAMPS = struct.Struct("=2q")
_ROW = struct.Struct("=6q")
ROW_BYTES, pack_row = _ROW.size, _ROW.pack_into
_FLOAT_ROW = struct.Struct("=4qdq")
_INT, _FLOAT, _CONSTANT, _TEXT, _SITE = range(5)
_KINDS = 8
_CONSTANTS = (None, False, True)
_MOST_TEXT = 2_000
_SITE_ROOM = 512
_BYTES = 768 << 10
_LEAST_HALF = _SITE_ROOM + ROW_BYTES + _MOST_TEXT


class FinishedRecords:
    """The file, kept from batch to batch.

    Attributes:
        label: whose batch the next one is, for the reader.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.label = ""
        self._map: mmap.mmap | None = None
        self._stamps = count(_KINDS, _KINDS)

    def open(self, slots: int) -> Sequence["SlotRecords"]:
        """Begin a batch of so many slots; where there is no space for the file, nothing is kept."""
        half = max(_LEAST_HALF, _BYTES // slots // 2) // 8 * 8
        each = _STAMPS.size + 2 * half
        try:
            file = self._file_of(_HEADER.size + slots * each)
        except OSError:
            return [NoRecords()] * slots
        label = self.label.encode()
        # Without a slot first, so that what a former batch left counts for nobody.
        _HEADER.pack_into(file, 0, 0, each, len(label), label)
        begins = [_HEADER.size + slot * each for slot in range(slots)]
        for begin in begins:
            _STAMPS.pack_into(file, begin, 0, 0)
        _HEADER.pack_into(file, 0, slots, each, len(label), label)
        return [SlotRecords(file, begin, half, self._stamps) for begin in begins]

    def _file_of(self, size: int) -> mmap.mmap:
        # A task may have removed the file.
        if self._map is None or len(self._map) < size or not self.path.exists():
            self.close()
            with open(self.path, "w+b") as file:
                reserve_space(file.fileno(), size)
                self._map = mmap.mmap(file.fileno(), size)
        return self._map

    def close(self) -> None:
        """Remove the file and the mapping."""
        if self._map is not None:
            self._map.close()
            self._map = None
            self.path.unlink(missing_ok=True)


class SlotRecords:
    """Keeps the records of one slot, which one thread at a time puts.

    A row of an int is written by the loop that runs items itself, to save a call: at `at`, as long
    as that is less than the end that `begin` or `keep` returned, with their stamp.
    """

    def __init__(self, file: mmap.mmap, begin: int, half: int, stamps: "count[int]") -> None:
        self.file, self._begin, self._half = file, begin, half
        self._stamps, self._stamp = stamps, 0
        self._number, self.at, self._end = 1, 0, 0
        self._site: ExecutionSite | None = None

    def begin(self, site: ExecutionSite) -> tuple[int, int, int]:
        """Begin to keep records of this site; where, until where, and by which stamp."""
        if site is not self._site:
            self._begin_part(site)
        return self.at, self._end - ROW_BYTES, self._stamp

    def keep(self, at: int, row: tuple[Any, ...]) -> tuple[int, int, int]:
        """Keep a record, if there is room for it; returns where the next one goes, as `begin`."""
        index, state, value, error, _, started_ns, wall_ns, cpu_ns, seen, _, _ = row
        self.at = at
        if at + ROW_BYTES > self._end:
            self._begin_part(self._site)
        times, is_plain = (index, started_ns, wall_ns, cpu_ns), error is None and seen is None
        if is_plain and type(value) is int and value.bit_length() < 64:
            self._keep_number(times, _INT, value)
        elif is_plain and type(value) is float:
            _FLOAT_ROW.pack_into(self.file, self.at, *times, value, self._stamp + _FLOAT)
            self.at += ROW_BYTES
        elif is_plain and (value is None or type(value) is bool):
            self._keep_number(times, _CONSTANT, _CONSTANTS.index(value))
        elif len(marshal.dumps(value)) <= _MOST_TEXT:
            self._keep_text(times, _TEXT, [state, value, error, seen])
        return self.at, self._end - ROW_BYTES, self._stamp

    def _keep_number(self, times: tuple[int, int, int, int], kind: int, number: int) -> None:
        _ROW.pack_into(self.file, self.at, *times, number, self._stamp + kind)
        self.at += ROW_BYTES

    def _keep_text(self, times: tuple[int, int, int, int], kind: int, facts: Any) -> None:
        text = dumps(facts).encode()
        size = ROW_BYTES + _padded(len(text))
        if size > self._half - _SITE_ROOM:
            return
        if self.at + size > self._end:
            self._begin_part(self._site)
        behind = self.at + ROW_BYTES
        self.file[behind : behind + len(text)] = text
        _ROW.pack_into(self.file, self.at, *times, len(text), self._stamp + kind)
        self.at += size

    def _begin_part(self, site: ExecutionSite | None) -> None:
        """Go on in the other half, or behind a row that names another site."""
        if self.at + _SITE_ROOM > self._end or site is self._site:
            self._number = 1 - self._number
            self._stamp = next(self._stamps)
            self.at = self._begin + _STAMPS.size + self._number * self._half
            self._end = self.at + self._half
            _STAMP.pack_into(self.file, self._begin + self._number * _STAMP.size, self._stamp)
        self._site = site
        self._keep_text((0, 0, 0, 0), _SITE, site)


class NoRecords(SlotRecords):
    """Keeps none: a slot whose records are not final, or of a child, which keeps them itself."""

    def __init__(self) -> None:
        self.at = 0

    def begin(self, site: ExecutionSite) -> tuple[int, int, int]:
        return 0, 0, 0

    def keep(self, at: int, row: tuple[Any, ...]) -> tuple[int, int, int]:
        return 0, 0, 0


def read_finished(raw: bytes, label: str) -> list[Outcome]:
    """The records in the bytes of such a file, if they are of the batch of this label.

    The process was killed at any moment, and its tasks could write into the file too.
    """
    found: dict[int, Outcome] = {}
    try:
        slots, each, length, name = _HEADER.unpack_from(raw)
        if name[:length] != label.encode() or each <= _STAMPS.size:
            return []
        for begin in range(_HEADER.size, min(len(raw), _HEADER.size + slots * each), each):
            stamps = _STAMPS.unpack_from(raw, begin)
            half = (each - _STAMPS.size) // 2
            for number, stamp in enumerate(stamps):
                start = begin + _STAMPS.size + number * half
                part = _read_part(raw[start : start + half], stamp) if stamp > 0 else ()
                found |= {outcome.index: outcome for outcome in part}
    except (struct.error, ValueError, TypeError, IndexError, RecursionError):
        # What was read before is as good as ever.
        pass
    return list(found.values())


def _read_part(part: bytes, stamp: int) -> Iterator[Outcome]:
    at, site = 0, None
    while at + ROW_BYTES <= len(part):
        index, started_ns, wall_ns, cpu_ns, number, mark = _ROW.unpack_from(part, at)
        kind, behind = mark - stamp, at + ROW_BYTES
        state, value, error, seen = "succeeded", number, None, None
        if kind in (_TEXT, _SITE):
            facts = loads(part[behind : behind + max(0, number)])
            behind += _padded(max(0, number))
            if kind == _TEXT:
                state, value, error, seen = facts
            else:
                site = ExecutionSite(*facts)
        elif kind == _FLOAT:
            value = _FLOAT_ROW.unpack_from(part, at)[4]
        elif kind == _CONSTANT:
            value = _CONSTANTS[number]
        elif kind != _INT:
            return
        if site is None or state not in RECORD_STATES:
            return
        if kind != _SITE:
            yield Outcome(index, state, value, error, site, started_ns, wall_ns, cpu_ns, seen)
        at = behind


def _padded(size: int) -> int:
    return -(-size // 8) * 8
