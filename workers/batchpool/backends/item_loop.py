"""Run items of a batch one after the other in one thread."""

from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Any

from batchpool.backends.base import Batch
from batchpool.execution.item_output import enter_thread
from batchpool.execution.run_item import Work, current_site, run_items
from batchpool.execution.slot import Slot

_BETWEEN_WAITS = 256
"""Items between two looks at how many records wait: a wait must not count as time of an item."""
_AT_HAND = (range, list, tuple)
"""Of anything else, to get an item may take time, which must not count either."""


def run_until_stopped(batch: Batch, work: Work, slot: Slot, indices: Iterable[int]) -> None:
    """Take indices and run their items until none is left or the stop flag is set."""
    site, pairs = current_site(), _pairs(batch, indices)
    is_at_hand = isinstance(batch.spec.items, _AT_HAND) and batch.run.rate is None
    more = _BETWEEN_WAITS if is_at_hand else 0
    enter_thread(slot.running)
    while not batch.stop_flag.closed and (pair := next(pairs, None)):
        run_items(work, site, slot, chain((pair,), islice(pairs, more)))
        batch.outcomes.wait_for_sink()


def _pairs(batch: Batch, indices: Iterable[int]) -> Iterator[tuple[int, Any]]:
    items, first = batch.spec.items, batch.spec.first
    if isinstance(indices, range) and isinstance(items, _AT_HAND):
        return zip(indices, items[indices.start - first : indices.stop - first], strict=True)
    return ((index, items[index - first]) for index in indices)
