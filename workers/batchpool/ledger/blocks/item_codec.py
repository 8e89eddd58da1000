"""Blocks of items: compressed JSON lists.

In the hash of a job's items the field `n` has the items from n * `ITEMS_PER_BLOCK` on. Where they
are large, the block goes on in the fields `n.1`, `n.2` …, its further parts.
"""

import zlib
from collections.abc import Sequence
from json import JSONEncoder, loads
from typing import Any

from batchpool.ledger.blocks.compression import decompress

ITEMS_PER_BLOCK = 4096
PART_BYTES = 1 << 20
"""Items whose texts reach this size make a part of a block, if they come in an upload."""
MOST_BYTES = 512 << 20
"""What a block may hold: a service that reads a larger body runs out of the memory it may use."""

_ENCODE = JSONEncoder(separators=(",", ":")).encode


class ItemsBroken(ValueError):
    """The items of a job or comparison cannot be read."""


def part_field(block: int, part: int) -> str:
    """The field of a part of a block."""
    return f"{block}.{part}" if part else str(block)


def pack_items(items: Sequence[Any]) -> list[bytes]:
    """Items as blocks of at most `ITEMS_PER_BLOCK`."""
    starts = range(0, len(items), ITEMS_PER_BLOCK)
    return [pack_text(encode(items[start : start + ITEMS_PER_BLOCK])) for start in starts]


def encode(items: Sequence[Any]) -> str:
    """The compact JSON text of a list of items."""
    return _ENCODE(items)


def pack_text(text: str) -> bytes:
    """A part of a block, from the text of its list."""
    return zlib.compress(text.encode(), 1)


def unpack_items(block: bytes | None, most_bytes: int = MOST_BYTES) -> list[Any]:
    """The items of one block.

    Raises:
        ItemsBroken: it is missing, or not what `pack_items` has made.
    """
    if block is None:
        raise ItemsBroken("the block of items is missing")
    try:
        items = loads(decompress(block, most_bytes))
    except (ValueError, RecursionError) as error:
        raise ItemsBroken(f"the block of items cannot be read: {error}") from None
    if not isinstance(items, list) or len(items) > ITEMS_PER_BLOCK:
        raise ItemsBroken(f"the block of items must be a list of at most {ITEMS_PER_BLOCK}")
    return items
