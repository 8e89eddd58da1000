"""Messages between the API and the processes for its large bodies."""

import json
import struct
from contextlib import suppress
from io import RawIOBase
from typing import IO, Any

from batchpool.api.problems import MalformedBody
from batchpool.json_value import JsonObject

PIECE_BYTES = 256 << 10
END, CUT = 0, (1 << 32) - 1
"""In place of the length of a piece: the body ends here, or nothing more of it will come."""

_LENGTH = struct.Struct("!I")


def write_head(stream: IO[bytes], head: JsonObject, length: int = 0) -> None:
    """Write the beginning of a message: the length of its head, the head as JSON.

    Args:
        length: of an answer, which follows as it is; a body follows in pieces.
    """
    text = json.dumps(head | {"length": length}).encode()
    stream.write(_LENGTH.pack(len(text)) + text)


def write_piece(stream: IO[bytes], piece: bytes | memoryview) -> None:
    """Write the next piece of a body, which is not empty."""
    if piece:
        stream.write(_LENGTH.pack(len(piece)))
        stream.write(piece)


def write_mark(stream: IO[bytes], mark: int) -> None:
    """Write `END` or `CUT`."""
    stream.write(_LENGTH.pack(mark))
    stream.flush()


class PieceReader(RawIOBase):
    """The body of a message, read from its pieces."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._left = 0
        self._is_over = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Read some of the body; 0 at its end.

        Raises:
            MalformedBody: nothing more will come.
            EOFError: the other side has ended.
        """
        if not (self._left or self._is_over):
            self._begin_piece()
        wanted = memoryview(buffer)[: self._left]
        wanted[:] = read_exactly(self._stream, len(wanted))
        self._left -= len(wanted)
        return len(wanted)

    def _begin_piece(self) -> None:
        (length,) = _LENGTH.unpack(read_exactly(self._stream, _LENGTH.size))
        self._is_over = length in (END, CUT)
        if length == CUT:
            raise MalformedBody("the body is incomplete")
        self._left = length

    def exhaust(self) -> None:
        """Read what is left."""
        with suppress(MalformedBody):
            while self.read(PIECE_BYTES):
                pass


def read_head(stream: IO[bytes]) -> tuple[JsonObject, int]:
    """The head of the next message, and the length of the body that follows.

    Raises:
        EOFError: the other side has ended.
    """
    (length,) = _LENGTH.unpack(read_exactly(stream, _LENGTH.size))
    head: JsonObject = json.loads(read_exactly(stream, length))
    return head, head.pop("length")


def read_exactly(stream: IO[bytes], length: int) -> bytes:
    """The next `length` bytes.

    Raises:
        EOFError: there are fewer.
    """
    found = stream.read(length)
    if len(found) < length:
        raise EOFError
    return found
