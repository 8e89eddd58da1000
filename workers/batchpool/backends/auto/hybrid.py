"""A process pool and an event loop that share items with threads of this process."""

import asyncio
from collections.abc import Callable, Iterator

from batchpool.backends.base import Batch
from batchpool.backends.chunking import Chunker
from batchpool.backends.event_loop import EventLoop, Waits
from batchpool.backends.item_source import ItemSource
from batchpool.backends.pool_backend import AHEAD
from batchpool.backends.process_pool import ProcessPool
from batchpool.execution.run_item_async import CoroutineSlot
from batchpool.execution.slot import Slot

CHECK_EVERY_S = 0.02
_FREE_SLOT_POLL_S = 0.01
_BESIDE_POLL_S = 0.005
"""Poll at most this long while leftover threads still occupy slots of the pool."""


class HybridPool(ProcessPool):
    """A pool with as many slots as the remaining threads leave."""

    def __init__(
        self,
        batch: Batch,
        free_slots: Callable[[], int],
        on_turn: Callable[[], None],
        first_chunk: int | None,
    ) -> None:
        """Args:
        batch: what to run, and with how many slots at most.
        free_slots: how many tasks may be in flight here, now.
        on_turn: called in each turn of the loop.
        first_chunk: how many items the first chunks hold.
        """
        super().__init__(batch)
        self._free_slots = free_slots
        self._on_turn = on_turn
        self._first_chunk = first_chunk or 1

    @property
    def slots(self) -> int:
        return min(super().slots, self._free_slots())

    @property
    def is_full(self) -> bool:
        """Whether items wait, and all slots are taken."""
        if self._executor_pool is None:
            # A child has died, and the next pool is not there yet.
            return False
        return self._items.has_ready or (self.has_queued and len(self._chunks) >= self.slots)

    @property
    def children(self) -> list[int]:
        """The PIDs of all its children."""
        return [child.pid for child in self.executor_pool.monitor.children]

    def widen(self, allowed: int) -> int:
        """Use all children from now on; returns how many that is, 0 if no more than before.

        Args:
            allowed: how many tasks may be in flight here at most.
        """
        most = min(self.executor_pool.size, allowed)
        # A child that is idle until now must not take what waits beyond the slots allowed.
        is_safe = most == self.executor_pool.size or most >= self._most + AHEAD
        if most <= self._most or not is_safe:
            return 0
        self._most = most
        self.executor_pool.unpark()
        return most

    @property
    def turn_s(self) -> float:
        is_beside = self._free_slots() < self.batch.concurrency
        return min(_BESIDE_POLL_S if is_beside else CHECK_EVERY_S, super().turn_s)

    def cut(self, items: ItemSource) -> Chunker:
        return Chunker(items, self.batch.concurrency, None, self._first_chunk)

    def after_turn(self) -> None:
        super().after_turn()
        self._on_turn()


class HybridLoop(EventLoop):
    """A loop with as many coroutines as the remaining threads leave."""

    def __init__(
        self,
        batch: Batch,
        free_slots: Callable[[], int],
        slot: Callable[[int], Slot],
        on_turn: Callable[[], None],
        on_turn_every_s: float,
    ) -> None:
        """Args:
        batch: what to run, and with how many slots at most.
        free_slots: how many tasks may be in flight here, now.
        slot: where the coroutine of that number shows what it runs.
        on_turn: called every `on_turn_every_s`.
        """
        super().__init__(batch)
        self._free_slots = free_slots
        self._slot = slot
        self._on_turn = on_turn
        self._on_turn_every_s = on_turn_every_s
        self._items: ItemSource
        self._busy = 0

    def run(self, items: ItemSource) -> None:
        self._items = items
        super().run(items)

    def slot(self, number: int) -> Slot:
        return self._slot(number)

    def watch(self, loop: asyncio.AbstractEventLoop) -> None:
        # No coroutine, which a task could cancel.
        loop.call_later(self._on_turn_every_s, self._turn, loop)

    def _turn(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self.ending.closed:
            self._on_turn()
            self.watch(loop)

    async def _consume(
        self, source: Iterator[int] | Waits, slot: CoroutineSlot, number: int
    ) -> None:
        while number >= self._free_slots() and not self.batch.stop_flag.closed:
            await asyncio.sleep(_FREE_SLOT_POLL_S)
        goes_on = True
        while goes_on:
            self._busy += 1
            try:
                await super()._consume(source, slot, number)
            finally:
                self._busy -= 1
            was_paused = self._items.paused
            # The pause ends without another choice if a task of the others takes too long.
            while self._busy and self._items.paused and not self.batch.stop_flag.closed:
                await asyncio.sleep(_FREE_SLOT_POLL_S)
            goes_on = was_paused and not (self._items.paused or self.batch.stop_flag.closed)
