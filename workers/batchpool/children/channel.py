"""Messages from children to their parent: a Unix socket, one connection per child.

    hello   the child's execution site
    rows    finished records
    chunk   finished records; and the chunk of that number is over
    leaked  a task left a thread in this process
    threads installed packages keep new threads here that idle; the text has their names, one a line
    stale   the files of the task have changed since the parent loaded them; nothing was run
    broken  our own code failed in the child; the text is its traceback

A frame is its length, kind and number, then data. Rows are marshalled: plain data and no classes,
so that reading them runs no code. A frame that its sender's death cut off is dropped; a child that
sends other bytes, or a frame that is not whole after some seconds, is killed.
"""

import contextlib
import marshal
import os
import socket
import struct
from collections.abc import Callable, Iterator
from enum import IntEnum
from pathlib import Path
from time import monotonic
from typing import NamedTuple

from batchpool.execution.item_output import item_logs
from batchpool.execution.outbox import split_records
from batchpool.execution.run_item import make_outcome
from batchpool.execution.slot import Row
from batchpool.model import ExecutionSite, Outcome

_HEADER = struct.Struct("=III")
_RECV_BYTES = 1 << 18
MOST_BYTES = 16 << 20
STARTED_FRAME_S = 5.0
_WITHOUT_LOG = 8
AddLog = Callable[[int, int, str], None]
"""Takes an item's index, its start in ns, and its log."""


class BadFrame(Exception):
    """The bytes are not a frame of a child."""


class FrameKind(IntEnum):
    """The kinds of frames."""

    HELLO = 1
    ROWS = 2
    CHUNK = 3
    LEAKED = 4
    BROKEN = 5
    STALE = 6
    THREADS = 7


_KINDS = frozenset(map(int, FrameKind))


class Frame(NamedTuple):
    """One message of a child."""

    kind: FrameKind
    number: int
    data: bytes


class ChannelWriter:
    """The child's end."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        with _short(path) as reachable:
            self._socket.connect(reachable)

    def send(self, kind: FrameKind, number: int = 0, data: bytes = b"") -> None:
        """Send one frame.

        Raises:
            OSError: the parent has ended.
        """
        self._socket.sendall(_HEADER.pack(len(data), kind, number) + data)


class ChannelReader:
    """The parent's end of one connection; never blocks."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self.socket = connection
        self.at_end = False
        self._buffer = bytearray()
        self._begun_s = 0.0

    @property
    def is_overdue(self) -> bool:
        """Whether a frame has begun and is not whole after `STARTED_FRAME_S`."""
        is_open = self.socket.fileno() >= 0
        return is_open and bool(self._buffer) and monotonic() - self._begun_s > STARTED_FRAME_S

    def frames(self) -> Iterator[Frame]:
        """All complete frames that have arrived."""
        had = len(self._buffer)
        self._receive()
        if not had:
            self._begun_s = monotonic()
        place = 0
        while len(self._buffer) - place >= _HEADER.size:
            length, kind, number = _HEADER.unpack_from(self._buffer, place)
            if length > MOST_BYTES or kind not in _KINDS:
                raise BadFrame(f"kind {kind}, {length} bytes")
            end = place + _HEADER.size + length
            if len(self._buffer) < end:
                break
            yield Frame(FrameKind(kind), number, bytes(self._buffer[place + _HEADER.size : end]))
            place = end
        if place:
            del self._buffer[:place]
            self._begun_s = monotonic()

    def _receive(self) -> None:
        try:
            while True:
                data = self.socket.recv(_RECV_BYTES)
                self._buffer += data
                self.at_end = not data
                if len(data) < _RECV_BYTES:
                    return
        except BlockingIOError:
            return
        except ConnectionError:
            self.at_end = True


def listen(path: Path) -> socket.socket:
    """A socket at `path` for children to connect to."""
    listener = socket.socket(socket.AF_UNIX)
    with _short(path) as reachable:
        listener.bind(reachable)
    listener.listen(1024)
    listener.setblocking(False)
    return listener


def to_record(row: Row) -> bytes:
    """The fields of an outcome without its execution site, which the child's hello named.

    At the end is the log of the item, if it has one.
    """
    index, state, value, error, _, started_ns, wall_ns, cpu_ns, seen, _, _ = row
    fields: Row = (index, state, value, error, started_ns, wall_ns, cpu_ns, seen)
    return marshal.dumps((*fields, item_logs.take(index)) if item_logs.waiting else fields)


def to_outcomes(data: bytes, site: ExecutionSite, add_log: AddLog) -> list[Outcome]:
    """The outcomes in the data of a frame or an outbox; their logs are added before."""
    return [_to_outcome(record, site, add_log) for record in split_records(data)]


@contextlib.contextmanager
def _short(path: Path) -> Iterator[str]:
    # The address of a Unix socket has 108 bytes, whatever the length of TMPDIR.
    if len(os.fsencode(path)) < 100 or not os.path.isdir("/proc/self/fd"):
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def _to_outcome(record: memoryview, site: ExecutionSite, add_log: AddLog) -> Outcome:
    # marshal is read from our own children only, never from Redis or the network.
    fields = marshal.loads(record)  # noqa: S302
    index, state, value, error, started_ns, wall_ns, cpu_ns, seen = fields[:_WITHOUT_LOG]
    if len(fields) > _WITHOUT_LOG and (log := fields[_WITHOUT_LOG]):
        add_log(index, started_ns, str(log))
    return make_outcome(
        (index, state, value, error, site, started_ns, wall_ns, cpu_ns, seen, 1, ())
    )
