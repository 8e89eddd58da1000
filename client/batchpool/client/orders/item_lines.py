"""Items that are sent as lines while they are read, and never in memory together."""

import os
from collections.abc import Callable, Iterable, Iterator, Sized
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any

from batchpool.client.errors import InvalidInput
from batchpool.client.transport import encode_item

MANY_ITEMS = 10_000
"""More items than that are sent as lines."""

PIECE_BYTES = 64 << 10
_NDJSON = "application/x-ndjson"
_MEDIA_TYPES = {".csv": "text/csv"}

Items = Iterable[Any] | os.PathLike[str] | IO[bytes]


@dataclass(frozen=True)
class ItemLines:
    """The body of an upload.

    Args:
        pieces: begins anew in each call, unless `is_once`.
    """

    media_type: str
    pieces: Callable[[], Iterator[bytes]]
    is_once: bool = False


def split_items(items: Items) -> list[Any] | ItemLines:
    """The items as a list if they are few, else as lines.

    Args:
        items: any iterable; the path of a file of NDJSON, or of CSV if it ends with .csv; or a
            file of NDJSON that is open for reading bytes.
    Raises:
        InvalidInput: the file cannot be read.
    """
    if isinstance(items, os.PathLike):
        return _of_file(Path(items))
    if hasattr(items, "read"):
        read = items.read
        return ItemLines(_NDJSON, lambda: iter(lambda: read(PIECE_BYTES), b""), is_once=True)
    if isinstance(items, Sized):
        if len(items) <= MANY_ITEMS:
            return list(items)
        return ItemLines(_NDJSON, lambda: _encode(items))
    rest = iter(items)
    first = list(islice(rest, MANY_ITEMS + 1))
    if len(first) <= MANY_ITEMS:
        return first
    return ItemLines(_NDJSON, lambda: _encode(chain(first, rest)), is_once=True)


def _of_file(path: Path) -> ItemLines:
    def pieces() -> Iterator[bytes]:
        with path.open("rb") as file:
            while piece := file.read(PIECE_BYTES):
                yield piece

    try:
        path.open("rb").close()
    except OSError as error:
        raise InvalidInput("items", f"cannot read {str(path)!r}: {error.strerror}") from None
    return ItemLines(_MEDIA_TYPES.get(path.suffix.lower(), _NDJSON), pieces)


def _encode(items: Iterable[Any]) -> Iterator[bytes]:
    lines: list[bytes] = []
    size = 0
    for index, item in enumerate(items):
        try:
            lines.append(encode_item(item))
        except InvalidInput as error:
            raise InvalidInput(f"items[{index}]", error.reason) from None
        size += len(lines[-1])
        if size > PIECE_BYTES:
            yield b"\n".join(lines) + b"\n"
            lines, size = [], 0
    if lines:
        yield b"\n".join(lines)
