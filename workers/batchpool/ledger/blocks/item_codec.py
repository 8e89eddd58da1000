"""Blocks of items: compressed JSON lists."""

import zlib
from collections.abc import Sequence
from json import dumps, loads
from typing import Any

from batchpool.ledger.blocks.compression import decompress

ITEMS_PER_BLOCK = 4096
MOST_BYTES = 512 << 20
"""What a block may hold: a service that reads a larger body runs out of the memory it may use."""


class ItemsBroken(ValueError):
    """The items of a job or comparison cannot be read."""


def pack_items(items: Sequence[Any]) -> list[bytes]:
    """Items as blocks of at most `ITEMS_PER_BLOCK`."""
    starts = range(0, len(items), ITEMS_PER_BLOCK)
    return [_pack(items[start : start + ITEMS_PER_BLOCK]) for start in starts]


def _pack(items: Sequence[Any]) -> bytes:
    return zlib.compress(dumps(items, separators=(",", ":")).encode(), 1)


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
