"""Read the items of a batch block by block, as they are needed."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, TypeVar, overload

from batchpool.ledger.blocks.item_codec import ITEMS_PER_BLOCK, ItemsBroken

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
    """

    def __init__(self, load: LoadPart, first: int, count: int) -> None:
        self._load = load
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
            with self._lock:
                start, items = self._current = self._part_with(index)
        return items[index - start]

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
