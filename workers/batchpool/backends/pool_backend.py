"""Base of the backends whose children belong to an executor."""

import contextlib
from collections.abc import Sequence
from time import monotonic_ns

from batchpool.backends.base import Batch
from batchpool.backends.child_backend import TURN_S, ChildBackend
from batchpool.backends.chunking import Chunk, Chunker, ChunkState
from batchpool.backends.item_source import ItemSource
from batchpool.children.child import run_chunk
from batchpool.children.monitor import ChildHandle
from batchpool.children.pools import ExecutorPool
from batchpool.errors import ChildStartFailed

AHEAD = 2


_STEAL_AFTER_NS = 5_000_000
_STEAL_TURN_S = _STEAL_AFTER_NS / 1e9


class PoolBackend(ChildBackend):
    """Runs chunks of items in the children of one pool.

    `submit` makes one call of the executor per item; `map` makes one per chunk. Without a given
    `chunksize` chunks hold one item until items prove to be tiny, and a chunk whose items turn
    out to be long is taken back from its child as soon as a slot is free.
    """

    def __init__(self, batch: Batch) -> None:
        super().__init__(batch)
        self._chunks: dict[int, Chunk] = {}
        self._executor_pool: ExecutorPool | None = None
        self._items: ItemSource
        self._chunker: Chunker
        self._most = batch.concurrency

    @property
    def method(self) -> str | None:
        """How the pool's processes start; None for interpreters."""
        return self.batch.run.start_method

    def __enter__(self) -> "PoolBackend":
        super().__enter__()
        try:
            self.pool = "warm" if self.open_pool() else "fresh"
        except BaseException:
            super().__exit__()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        try:
            self.close_pool()
        finally:
            super().__exit__(*exc)

    def open_pool(self) -> bool:
        """Take a pool; returns whether it was kept from another batch."""
        if self._executor_pool is not None:
            return False
        pool_cache, run = self.batch.context.pools, self.batch.run
        size, warm = self.batch.concurrency, run.pool == "warm"
        try:
            self._executor_pool, was_kept = pool_cache.take(self.method, size, warm)
            self._most = min(self._most, self._executor_pool.size)
        except ChildStartFailed as failure:
            first = self.batch.spec.first
            everything = range(first, first + len(self.batch.spec.items))
            unanswered = self.batch.outcomes.unanswered(everything)
            raise ChildStartFailed(failure.why, unanswered) from None
        return was_kept

    def close_pool(self, keep: bool = True) -> None:
        """Give the pool back: it is kept if the batch asked for a warm one, else closed."""
        pool, self._executor_pool = self._executor_pool, None
        if pool is not None:
            keep = keep and self.batch.run.pool == "warm"
            self.batch.context.pools.give_back(pool, keep, is_idle=not self._chunks)

    @property
    def executor_pool(self) -> ExecutorPool:
        """The pool."""
        assert self._executor_pool is not None
        return self._executor_pool

    def run(self, items: ItemSource) -> None:
        self._items = items
        self._chunker = self.cut(items)
        while self._chunks or (items.has_more and not self.batch.stop_flag.closed):
            self.open_pool()
            self._send_chunks()
            self.poll(self.executor_pool.monitor, self.turn_s)
            self.after_turn()

    def cut(self, items: ItemSource) -> Chunker:
        """The chunker for these items."""
        run = self.batch.run
        fixed = 1 if run.dispatch == "submit" else run.chunksize
        return Chunker(items, self.slots, fixed)

    @property
    def turn_s(self) -> float:
        """How long a turn of the loop waits if nothing happens."""
        most_s = _STEAL_TURN_S if self._may_steal and self.has_queued else TURN_S
        return self._items.pause_s(most_s)

    @property
    def slots(self) -> int:
        """How many tasks may be in flight now."""
        return self._most

    @property
    def effective_concurrency(self) -> int:
        return self._most

    def on_chunk(self, number: int) -> None:
        chunk = self._chunks.pop(number, None)
        if chunk is None:
            return
        left = self.batch.outcomes.unanswered(chunk.indices, chunk.sent_ns)
        self._chunker.adjust(chunk, monotonic_ns())
        if left and not self.batch.stop_flag.closed:
            self._items.give_back(left)

    def on_close(self) -> None:
        for child in self.executor_pool.monitor.children:
            if child.outbox is not None:
                child.outbox.revoke(max(self._chunks, default=0))

    def on_death(self, child: ChildHandle) -> None:
        raise AssertionError("an interpreter cannot die alone")

    def after_turn(self) -> None:
        """Called between two turns of the loop."""
        self._steal_back()

    def _send_chunks(self) -> None:
        if self.batch.stop_flag.closed:
            return
        slots = self.slots
        self._fill(slots)
        is_paced = self.batch.run.rate is not None
        if not is_paced and self._items.has_ready and slots == self._most:
            # Some chunks more wait in the executor's queue, so that no child waits for us; but a
            # child that must stay idle must not take them.
            with contextlib.suppress(OSError):
                self.executor_pool.park(self.executor_pool.size - slots)
                self._fill(slots + AHEAD)

    def _fill(self, most: int) -> None:
        """Send chunks until so many are in flight, while there are items for them."""
        chunks = []
        while len(self._chunks) < most and (indices := self._chunker.take()):
            chunk = Chunk(next(self.executor_pool.numbers), indices, monotonic_ns())
            self._chunks[chunk.number] = chunk
            chunks.append(chunk)
        if chunks:
            self.dispatch(chunks)

    def dispatch(self, chunks: list[Chunk]) -> None:
        """Pass chunks to the executor, by the dispatch that the batch names."""
        items = [self._items_of(chunk.indices) for chunk in chunks]
        executor, order = self.executor_pool.executor, self.order
        if self.batch.run.dispatch == "submit":
            for chunk, chunk_items in zip(chunks, items, strict=True):
                executor.submit(run_chunk, order, chunk.number, chunk.indices, chunk_items)
            return
        numbers, indices = [c.number for c in chunks], [c.indices for c in chunks]
        # Outcomes come by the monitor; the results are empty, and an iterator over them that was
        # never begun cancels nothing when it goes.
        executor.map(run_chunk, [order] * len(chunks), numbers, indices, items)

    def _items_of(self, indices: Sequence[int]) -> Sequence[object]:
        items, first = self.batch.spec.items, self.batch.spec.first
        if isinstance(indices, range):
            return items[indices.start - first : indices.stop - first]
        return [items[index - first] for index in indices]

    def _steal_back(self) -> None:
        """Give items that wait behind a long one in its chunk to free slots.

        It takes two turns: a chunk is revoked, and split a turn later, when it is certain that
        the child begins no further item of it.
        """
        if not self._may_steal:
            return
        now_ns = monotonic_ns()
        for child in self.executor_pool.monitor.children:
            running = child.running
            if running is None or child.outbox is None or now_ns - running[1] < _STEAL_AFTER_NS:
                continue
            # The last one: an item that is tried again was in an earlier one too.
            chunks = reversed(self._chunks.values())
            chunk = next((c for c in chunks if running[0] in c.indices), None)
            if chunk is None or running[0] == chunk.indices[-1]:
                continue
            if chunk.state is ChunkState.SENT:
                chunk.state = ChunkState.REVOKED
                child.outbox.revoke(chunk.number)
            elif chunk.state is ChunkState.REVOKED:
                self._split(chunk, running[0])

    @property
    def _may_steal(self) -> bool:
        is_idle = not self._items.has_ready and len(self._chunks) < self.slots
        return is_idle and self._chunker.is_auto

    @property
    def has_queued(self) -> bool:
        """Whether items wait: in the source, or behind others in their chunk."""
        if self._items.has_ready:
            return True
        return any(
            len(chunk.indices) > 1 and chunk.state is not ChunkState.SPLIT
            for chunk in self._chunks.values()
        )

    def _split(self, chunk: Chunk, running: int) -> None:
        """Give back the items of a revoked chunk behind the running one."""
        chunk.state = ChunkState.SPLIT
        end = chunk.indices.index(running) + 1
        behind = self.batch.outcomes.unanswered(chunk.indices[end:], chunk.sent_ns)
        chunk.indices = chunk.indices[:end]
        self._items.give_back(behind)
