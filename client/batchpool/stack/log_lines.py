"""Split the output of a process into log lines of bounded length."""

from collections.abc import Callable, Iterator

MAX_LINE_BYTES = 64 << 10


def split_lines(read: Callable[[], bytes]) -> Iterator[str]:
    r"""Yield the lines of a stream; `\n` and `\r` end a line.

    At most `MAX_LINE_BYTES` of a line are kept. The rest is dropped as it comes, so that an endless
    line takes no memory, and counted at the end of the line.

    Args:
        read: returns the next bytes; b"" at the end of the stream.
    """
    line, dropped = bytearray(), 0
    while chunk := read():
        *ended, rest = chunk.replace(b"\r", b"\n").split(b"\n")
        for part in ended:
            yield from _line(line, part, dropped)
            line, dropped = bytearray(), 0
        room = MAX_LINE_BYTES - len(line)
        line += rest[:room]
        dropped += max(0, len(rest) - room)
    yield from _line(line, b"", dropped)


def _line(begun: bytearray, part: bytes, dropped: int) -> Iterator[str]:
    room = MAX_LINE_BYTES - len(begun)
    text = (bytes(begun) + part[:room]).decode("utf-8", "replace").rstrip()
    dropped += max(0, len(part) - room)
    if text:
        yield f"{text} … {dropped:,} more bytes of this line were dropped" if dropped else text
