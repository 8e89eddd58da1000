"""Items that threads, a pool and an event loop take from at once."""

import threading
from collections.abc import Iterator, Sequence
from typing import overload


class SharedItems(Sequence[int]):
    """Hands out indices, each once, to threads, a pool and an event loop.

    As a sequence it is what is left; iterating takes. Nothing is handed out while `paused`.
    """

    def __init__(self, indices: Sequence[int]) -> None:
        self._indices = indices
        self._next = 0
        self._lock = threading.Lock()
        self.paused = False

    def take(self, most: int) -> Sequence[int]:
        """The next indices, in their order; none when none are left."""
        with self._lock:
            start = self._next
            if not self.paused:
                self._next = min(len(self._indices), start + most)
            return self._indices[start : self._next]

    def take_one(self) -> int | None:
        """The next index; None when none is left."""
        with self._lock:
            place = self._next
            if self.paused or place >= len(self._indices):
                return None
            self._next = place + 1
            return self._indices[place]

    def __len__(self) -> int:
        return len(self._indices) - self._next

    @overload
    def __getitem__(self, place: int) -> int: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[int]: ...
    def __getitem__(self, place: int | slice) -> int | Sequence[int]:
        return self._indices[self._next :][place]

    def __iter__(self) -> Iterator[int]:
        while (index := self.take_one()) is not None:
            yield index
