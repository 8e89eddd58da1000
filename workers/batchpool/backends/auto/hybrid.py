"""A process pool and an event loop that share one feed of items with threads of this process."""

import asyncio
from collections.abc import Callable, Iterator, Sequence

from batchpool.backends.auto.shared_items import SharedItems
from batchpool.backends.base import Batch
from batchpool.backends.chunking import Chunker
from batchpool.backends.event_loop import EventLoop
from batchpool.backends.process_pool import ProcessPool
from batchpool.execution.in_flight import RunningSlot
from batchpool.execution.run_item_async import CoroutineSlot

WATCH_S = 0.05
_ROOM_S = 0.01
_BESIDE_S = 0.005
"""A turn of a pool lasts no longer while threads beside it still have a place of its lanes."""


class SharedChunker(Chunker):
    """Cuts chunks from a feed that others take from too."""

    def __init__(self, feed: SharedItems, lanes: int, first: int) -> None:
        super().__init__((), lanes, None)
        self._feed = feed
        self._size = first

    @property
    def has_more(self) -> bool:
        return bool(self._again) or (not self._feed.paused and len(self._feed) > 0)

    def take(self) -> Sequence[int]:
        if self._again:
            return super().take()
        return self._feed.take(self.fit(len(self._feed)))


class HybridPool(ProcessPool):
    """A pool with as many lanes as the threads beside it leave."""

    def __init__(
        self,
        batch: Batch,
        feed: SharedItems,
        room: Callable[[], int],
        watch: Callable[[], None],
        first_chunk: int | None,
    ) -> None:
        """Args:
        batch: what to run, and with how many lanes at most.
        feed: where items come from.
        room: how many tasks may be in flight here, now.
        watch: called in each turn of the loop.
        first_chunk: how many items the first chunks hold.
        """
        super().__init__(batch)
        self._shared = feed
        self._room = room
        self._watch = watch
        self._first_chunk = first_chunk or 1

    @property
    def lanes(self) -> int:
        return min(super().lanes, self._room())

    @property
    def poll_s(self) -> float:
        return super().poll_s if self._room() >= self.batch.concurrency else _BESIDE_S

    def cut(self, wave: Sequence[int]) -> Chunker:
        lanes, first = self.batch.concurrency, self._first_chunk
        return SharedChunker(self._shared, lanes, first)

    def after_turn(self) -> None:
        super().after_turn()
        self._watch()


class HybridLoop(EventLoop):
    """A loop with as many coroutines as the threads beside it leave."""

    def __init__(
        self,
        batch: Batch,
        room: Callable[[], int],
        slot: Callable[[int], RunningSlot],
        watch: Callable[[], None],
    ) -> None:
        """Args:
        batch: what to run, and with how many lanes at most.
        room: how many tasks may be in flight here, now.
        slot: where the coroutine of that number shows what it runs.
        watch: called every `WATCH_S`.
        """
        super().__init__(batch)
        self._room = room
        self._lent = slot
        self._watch = watch
        self._begun = 0

    def slot(self, lane: int) -> RunningSlot:
        return self._lent(lane)

    async def _run_all(self, wave: Sequence[int]) -> None:
        watching = asyncio.create_task(self._keep_watch(), name="watch")
        try:
            await super()._run_all(wave)
        finally:
            watching.cancel()

    async def _keep_watch(self) -> None:
        while True:
            await asyncio.sleep(WATCH_S)
            self._watch()

    async def _consume(self, feed: Iterator[int], here: CoroutineSlot) -> None:
        self._begun += 1
        number = self._begun
        while number > self._room() and not self.batch.stop_flag.closed:
            await asyncio.sleep(_ROOM_S)
        await super()._consume(feed, here)
