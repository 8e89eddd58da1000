"""Read the items of a batch block by block, as they are needed."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, TypeVar, overload

from batchpool.ledger.blocks.item_codec import ITEMS_PER_BLOCK, ItemsBroken
from batchpool.ledger.connection import UNREACHABLE

KEPT_PARTS = 16
"""Parts that are kept at once, so that items which are run again need not be read again."""

P = ParamSpec("P")
T = TypeVar("T")
LoadPart = Callable[[int, int], Sequence[Any]]


class StoredItems(Sequence[Any]):
    """The items with the indices first … first + count - 1, in bounded memory.

    Safe to use from several threads; quick for one that goes forward.

    Args:
        load: the items of a part by the numbers of its block and of the part in it; raises
            `ItemsBroken` where there is none.
        retry_after_s: the pause after which Redis is asked again when it cannot be reached;
            default: that is an error.
    """

    def __init__(
        self, load: LoadPart, first: int, count: int, retry_after_s: float | None = None
    ) -> None:
        self._load = load
        self._retry_after_s = retry_after_s
        self._next_try_s = 0.0
        self._first = first
        self._count = count
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[int, int], Sequence[Any]] = OrderedDict()
        self._starts: dict[int, list[int]] = {}
        """Of each block the job-wide indices at which its parts begin, as far as they are known."""
        # Replaced as a whole, so that no thread sees one half of it.
        self._current: tuple[int, Sequence[Any]] = (0, ())

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, place: int) -> Any: ...
    @overload
    def __getitem__(self, place: slice) -> list[Any]: ...
    def __getitem__(self, place: int | slice) -> Any:
        if isinstance(place, slice):
            return [self[at] for at in range(*place.indices(self._count))]
        if not -self._count <= place < self._count:
            raise IndexError(place)
        index = self._first + place % self._count
        start, items = self._current
        if not start <= index < start + len(items):
            start, items = self._load_patiently(index)
        return items[index - start]

    def at_hand(self, place: int) -> int:
        """How many items from that place on can be read without waiting for Redis.

        Reads the first one if that is not so and it is time to ask Redis again.
        """
        index = self._first + place
        start, items = self._current
        if not start <= index < start + len(items):
            if time.monotonic() < self._next_try_s:
                return 0
            try:
                start, items = self._load_part_with(index)
            except UNREACHABLE:
                self._next_try_s = time.monotonic() + (self._retry_after_s or 0.0)
                return 0
            except ItemsBroken:
                # Whoever reads it meets that.
                return 1
        return min(start + len(items) - index, self._count - place)

    @property
    def pause_s(self) -> float:
        """How long until Redis may be asked again."""
        return max(0.0, self._next_try_s - time.monotonic())

    def _load_patiently(self, index: int) -> tuple[int, Sequence[Any]]:
        if self._retry_after_s is None:
            return self._load_part_with(index)
        return patiently(self._load_part_with, UNREACHABLE, self._retry_after_s)(index)

    def _load_part_with(self, index: int) -> tuple[int, Sequence[Any]]:
        with self._lock:
            self._current = found = self._part_with(index)
        return found

    def _part_with(self, index: int) -> tuple[int, Sequence[Any]]:
        """The part that holds an item, and the index of its first one."""
        block = index // ITEMS_PER_BLOCK
        starts = self._starts.setdefault(block, [block * ITEMS_PER_BLOCK])
        part = max(at for at, start in enumerate(starts) if start <= index)
        while True:
            items = self._part(block, part)
            end = starts[part] + len(items)
            if index < end:
                return starts[part], items
            if not items or end >= (block + 1) * ITEMS_PER_BLOCK:
                raise ItemsBroken(f"item {index} is missing")
            part += 1
            if part == len(starts):
                starts.append(end)

    def _part(self, block: int, part: int) -> Sequence[Any]:
        found = self._kept.pop((block, part), None)
        if found is None:
            found = self._load(block, part)
        self._kept[block, part] = found
        if len(self._kept) > KEPT_PARTS:
            self._kept.popitem(last=False)
        return found


def patiently(
    call: Callable[P, T], errors: tuple[type[Exception], ...], pause_s: float
) -> Callable[P, T]:
    """`call`, made again after a pause for as long as it raises one of `errors`."""

    def call_again(*args: P.args, **named: P.kwargs) -> T:
        while True:
            try:
                return call(*args, **named)
            except errors:
                time.sleep(pause_s)

    return call_again
