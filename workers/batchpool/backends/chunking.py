"""Cut items into chunks: of one item each until items have proved to be tiny."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from batchpool.backends.item_source import ItemSource

TARGET_NS = 40_000_000
"""A chunk of tiny items takes about this long, half of it waiting behind another one: about fifty
times what it costs to send one."""
_GROWTH = 4
_SHARE = 2
"""A chunk holds at most 1/2 of the items that are left per slot."""


class ChunkState(Enum):
    """How far items of a chunk are on their way back from a child that runs a long one."""

    SENT = 1
    """The child takes its items one by one."""
    REVOKED = 2
    """The child begins no further item; one that was about to begin may still run."""
    SPLIT = 3
    """The items behind the running one were given back."""


@dataclass(eq=False)
class Chunk:
    """Items that were sent to a child together."""

    number: int
    indices: Sequence[int]
    sent_ns: int
    state: ChunkState = ChunkState.SENT


class Chunker:
    """Hands out items in chunks.

    Promises: chunks of automatic size hold more than one item only after items took less than the
    target, and grow by steps.

    Args:
        fixed: the size of each chunk; None for automatic size.
        first: the automatic size to begin with.
    """

    def __init__(self, items: ItemSource, slots: int, fixed: int | None, first: int = 1) -> None:
        self.is_auto = fixed is None
        self._items = items
        self._slots = slots
        self._size = fixed or first

    def take(self) -> Sequence[int]:
        """The next chunk, empty if no item can be taken now."""
        size = self._size
        if self.is_auto:
            size = max(1, min(size, len(self._items) // (self._slots * _SHARE)))
        return self._items.take(size)

    def adjust(self, chunk: Chunk, now_ns: int) -> None:
        """Adjust the size to how long a chunk took, including the way to the child and back."""
        if not self.is_auto:
            return
        each_ns = (now_ns - chunk.sent_ns) / max(1, len(chunk.indices))
        fits = int(TARGET_NS / each_ns)
        self._size = max(1, min(fits, self._size * _GROWTH))
