"""Messages of a runner to its worker: JSON, in frames of limited size and time.

The other way assignments are pickled: no task runs in the worker. A task can write to the runner's
socket, so the worker reads only data from it and waits for no frame without end.
"""

import os
import select
import struct
from json import dumps, loads
from time import monotonic
from typing import get_args

from batchpool.runner.protocol import Ready, ReplyKind, RunnerReply

MOST_BYTES = 16 << 20
STARTED_FRAME_S = 5.0
_HEADER = struct.Struct("!i")
_READ_BYTES = 1 << 16
Message = RunnerReply | Ready
_TYPES: dict[str, type[RunnerReply] | type[Ready]] = {"reply": RunnerReply, "ready": Ready}


class BadMessage(Exception):
    """The bytes are not a message of a runner."""


def encode(message: Message) -> bytes:
    """The message as the data of a frame; `Connection.send_bytes` makes the frame."""
    name = "reply" if isinstance(message, RunnerReply) else "ready"
    return dumps({name: message.to_json()}).encode()


def decode(data: bytes) -> Message:
    """Read the data of a frame.

    Raises:
        BadMessage: it is not a message.
    """
    try:
        ((name, fields),) = loads(data).items()
        message = _TYPES[name].from_json(fields)
        _check(message)
    # Whatever the conversion of rubbish raises.
    except Exception as error:
        raise BadMessage(f"{data[:40]!r} is not a message") from error
    return message


def _check(message: Message) -> None:
    if isinstance(message, RunnerReply):
        flags = message.must_replace, message.untouched
        is_sound = message.kind in get_args(ReplyKind) and isinstance(message.detail, str)
        is_sound &= all(isinstance(flag, bool) for flag in flags)
    else:
        is_sound = isinstance(message.pid, int) and isinstance(message.fingerprint, str)
    if not is_sound:
        raise BadMessage("a field has another type")


class MessageReader:
    """Reads messages from a socket without blocking for longer than allowed."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._poll = select.poll()
        self._poll.register(fd, select.POLLIN)
        self._buffer = bytearray()
        self._begun_s = 0.0

    @property
    def has_data(self) -> bool:
        """Whether there is something to read, or the end."""
        return bool(self._buffer or self._poll.poll(0))

    def read(self, timeout_s: float) -> Message | None:
        """The next message, or None if there is none in time.

        Raises:
            BadMessage: what was sent is no message, or is not whole after `STARTED_FRAME_S`.
            EOFError: the other end is closed.
        """
        end_s = monotonic() + timeout_s
        while (message := self._next()) is None:
            now_s = monotonic()
            if self._buffer and now_s - self._begun_s > STARTED_FRAME_S:
                raise BadMessage(f"a frame was not whole after {STARTED_FRAME_S:g} s")
            if self._poll.poll(max(0.0, end_s - now_s) * 1000):
                self._receive()
            elif monotonic() >= end_s:
                return None
        return message

    def _receive(self) -> None:
        data = os.read(self._fd, _READ_BYTES)
        if not data:
            raise EOFError
        if not self._buffer:
            self._begun_s = monotonic()
        self._buffer += data

    def _next(self) -> Message | None:
        if len(self._buffer) < _HEADER.size:
            return None
        (size,) = _HEADER.unpack_from(self._buffer)
        if not 0 < size <= MOST_BYTES:
            raise BadMessage(f"a frame of {size} bytes")
        end = _HEADER.size + size
        if len(self._buffer) < end:
            return None
        data = bytes(self._buffer[_HEADER.size : end])
        del self._buffer[:end]
        self._begun_s = monotonic()
        return decode(data)
