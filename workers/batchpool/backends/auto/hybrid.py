"""A process pool and an event loop that share items with threads of this process."""

import asyncio
from collections.abc import Callable, Iterator

from batchpool.backends.base import Batch
from batchpool.backends.chunking import Chunker
from batchpool.backends.event_loop import EventLoop, Waits
from batchpool.backends.item_source import ItemSource
from batchpool.backends.process_pool import ProcessPool
from batchpool.execution.run_item_async import CoroutineSlot
from batchpool.execution.slot import Slot

CHECK_EVERY_S = 0.05
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
    def turn_s(self) -> float:
        is_beside = self._free_slots() < self.batch.concurrency
        return min(_BESIDE_POLL_S, super().turn_s) if is_beside else super().turn_s

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
        self._begun = 0

    def slot(self, number: int) -> Slot:
        return self._slot(number)

    async def _run_all(self, items: ItemSource) -> None:
        watching = asyncio.create_task(self._call_on_turn(), name="watch")
        try:
            await super()._run_all(items)
        finally:
            watching.cancel()

    async def _call_on_turn(self) -> None:
        while True:
            await asyncio.sleep(self._on_turn_every_s)
            self._on_turn()

    async def _consume(self, source: Iterator[int] | Waits, slot: CoroutineSlot) -> None:
        self._begun += 1
        number = self._begun
        while number > self._free_slots() and not self.batch.stop_flag.closed:
            await asyncio.sleep(_FREE_SLOT_POLL_S)
        await super()._consume(source, slot)
