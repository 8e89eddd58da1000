"""Cut items into chunks: of one item each until items have proved to be tiny."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

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

    Promises: each index is in one chunk at a time; given-back ones come first. Chunks of
    automatic size hold more than one item only after items took less than the target, and
    grow by steps.
    """

    def __init__(self, indices: Sequence[int], slots: int, fixed: int | None) -> None:
        self.is_auto = fixed is None
        self._indices = indices
        self._slots = slots
        self._next = 0
        self._again: list[int] = []
        self._size = fixed or 1

    @property
    def has_more(self) -> bool:
        """Whether any item is left to be handed out."""
        return bool(self._again) or self._next < len(self._indices)

    def take(self) -> Sequence[int]:
        """The next chunk."""
        size = self.fit(len(self._indices) - self._next + len(self._again))
        if self._again:
            taken = self._again[:size]
            del self._again[:size]
            return taken
        start = self._next
        self._next = min(len(self._indices), start + size)
        return self._indices[start : self._next]

    def fit(self, left: int) -> int:
        """The size of the next chunk when so many items are left."""
        if not self.is_auto:
            return self._size
        return max(1, min(self._size, left // (self._slots * _SHARE)))

    def give_back(self, indices: Sequence[int]) -> None:
        """Hand these out again."""
        self._again += indices

    def adjust(self, chunk: Chunk, now_ns: int) -> None:
        """Adjust the size to how long a chunk took, including the way to the child and back."""
        if not self.is_auto:
            return
        each_ns = (now_ns - chunk.sent_ns) / max(1, len(chunk.indices))
        fits = int(TARGET_NS / each_ns)
        self._size = max(1, min(fits, self._size * _GROWTH))
