"""A concurrent.futures.ProcessPoolExecutor, fed by submit or by map, warm or fresh."""

import contextlib
import signal
from collections.abc import Sequence
from concurrent.futures.process import BrokenProcessPool
from time import monotonic_ns, sleep

from workers.backends.base import Batch
from workers.backends.chunks import Chunk, Chunker
from workers.backends.processes import Processes
from workers.backends.supervised import Supervised
from workers.child import run_chunk
from workers.errors import ChildrenWontStart
from workers.hub import ChildView
from workers.pools import Pool

_AHEAD = 2
_FRUITLESS_ALLOWED = 3
_EXIT_CODE_NS = 500_000_000
_EXIT_CODE_POLL_S = 0.001
_BROKEN_NS = 2_000_000_000
_TERMINATE_NS = 200_000_000
_STEAL_AFTER_NS = 5_000_000


class PoolBackend(Supervised):
    """Runs chunks of items in the children of one pool.

    `submit` makes one call of the executor per item; `map` makes one per chunk. Without a given
    `chunksize` chunks hold one item until items prove to be tiny, and a chunk whose items turn
    out to be long is taken back from its child as soon as a lane has nothing to do.
    """

    def __init__(self, batch: Batch) -> None:
        super().__init__(batch)
        self._chunks: dict[int, Chunk] = {}
        self._hold: Pool | None = None
        self._feed: Chunker

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
        """Have a pool; returns whether it was kept from another batch."""
        if self._hold is not None:
            return False
        keeper, run = self.batch.station.pools, self.batch.run
        size, warm = self.batch.concurrency, run.pool == "warm"
        try:
            self._hold, was_kept = keeper.take(self.method, size, warm)
        except ChildrenWontStart as failure:
            first = self.batch.spec.first
            everything = range(first, first + len(self.batch.spec.items))
            unanswered = self.batch.intake.unanswered(everything)
            raise ChildrenWontStart(failure.why, unanswered) from None
        return was_kept

    def close_pool(self, keep: bool = True) -> None:
        """Give the pool back, to be kept if the batch asked for a warm one, or ended."""
        pool, self._hold = self._hold, None
        if pool is not None:
            keep = keep and self.batch.run.pool == "warm"
            self.batch.station.pools.give_back(pool, keep, is_idle=not self._chunks)

    @property
    def held(self) -> Pool:
        """The pool."""
        assert self._hold is not None
        return self._hold

    def run(self, wave: Sequence[int]) -> None:
        self.open_pool()
        self._feed = self.cut(wave)
        while self._chunks or (self._feed.has_more and not self.batch.gate.closed):
            self._send_chunks()
            self.turn(self.held.hub)
            self.after_turn()

    def cut(self, wave: Sequence[int]) -> Chunker:
        """What hands out the wave in chunks."""
        run = self.batch.run
        fixed = 1 if run.dispatch == "submit" else run.chunksize
        return Chunker(wave, self.lanes, fixed)

    @property
    def lanes(self) -> int:
        """How many tasks may be in flight now."""
        return self.batch.concurrency

    def on_chunk(self, number: int) -> None:
        chunk = self._chunks.pop(number, None)
        if chunk is None:
            return
        left = self.batch.intake.unanswered(chunk.indices)
        self._feed.learn(chunk, monotonic_ns())
        if left and not self.batch.gate.closed:
            self._feed.give_back(left)

    def on_close(self) -> None:
        for child in self.held.hub.children:
            if child.desk is not None:
                child.desk.revoke(max(self._chunks, default=0))

    def on_death(self, child: ChildView) -> None:
        raise AssertionError("an interpreter cannot die alone")

    def after_turn(self) -> None:
        """What is to be done between two turns of the loop."""
        self._take_back()

    def _send_chunks(self) -> None:
        if self.batch.gate.closed:
            return
        lanes = self.lanes
        self._fill(lanes)
        if self._feed.has_more and lanes == self.batch.concurrency:
            # Some chunks more wait in the executor's queue, so that no child waits for us; but a
            # child that is not to run any must not take them.
            with contextlib.suppress(OSError):
                self.held.park(self.held.size - lanes)
                self._fill(lanes + _AHEAD)

    def _fill(self, most: int) -> None:
        """Have so many chunks on their way, while there are items for them."""
        chunks = []
        while len(self._chunks) < most and self._feed.has_more:
            chunk = Chunk(next(self.held.numbers), self._feed.take(), monotonic_ns())
            self._chunks[chunk.number] = chunk
            chunks.append(chunk)
        if chunks:
            self.dispatch(chunks)

    def dispatch(self, chunks: list[Chunk]) -> None:
        """Hand chunks to the executor, the way that the batch names."""
        items = [self._items_of(chunk.indices) for chunk in chunks]
        executor, order = self.held.executor, self.order
        if self.batch.run.dispatch == "submit":
            for chunk, some in zip(chunks, items, strict=True):
                executor.submit(run_chunk, order, chunk.number, chunk.indices, some)
            return
        numbers, indices = [c.number for c in chunks], [c.indices for c in chunks]
        # Outcomes come by the hub; the results say nothing, and an iterator over them that was
        # never begun cancels nothing when it goes.
        executor.map(run_chunk, [order] * len(chunks), numbers, indices, items)

    def _items_of(self, indices: Sequence[int]) -> Sequence[object]:
        items, first = self.batch.spec.items, self.batch.spec.first
        if isinstance(indices, range):
            return items[indices.start - first : indices.stop - first]
        return [items[index - first] for index in indices]

    def _take_back(self) -> None:
        """Give items that wait behind a long one in its chunk to lanes that have nothing to do."""
        is_idle = not self._feed.has_more and len(self._chunks) < self.lanes
        if not is_idle or not self._feed.is_auto:
            return
        now_ns = monotonic_ns()
        for child in self.held.hub.children:
            running = child.running
            if running is None or child.desk is None or now_ns - running[1] < _STEAL_AFTER_NS:
                continue
            chunk = next((c for c in self._chunks.values() if running[0] in c.indices), None)
            if chunk is None or running[0] == chunk.indices[-1]:
                continue
            if chunk.is_revoked:
                # Revoked a turn ago, and it still runs an item: none behind that one will begin.
                place = chunk.indices.index(running[0]) + 1
                behind = self.batch.intake.unanswered(chunk.indices[place:])
                chunk.indices = chunk.indices[:place]
                self._feed.give_back(behind)
            else:
                chunk.is_revoked = True
                child.desk.revoke(chunk.number)


class ProcessPool(PoolBackend):
    """The pool's children are processes, and one may die.

    A death breaks the whole executor. A new one runs what is unanswered; the items that the
    dead child was running, the suspects, are run at the end, each alone in a fresh process.
    """

    def __init__(self, batch: Batch) -> None:
        super().__init__(batch)
        self._suspects: list[int] = []
        self._dead: dict[ChildView, int | None] = {}
        self._fruitless = 0
        self._broken_ns = 0

    def run(self, wave: Sequence[int]) -> None:
        self._suspects = []
        super().run(wave)
        suspects = self.batch.intake.unanswered(self._suspects)
        if suspects and not self.batch.gate.closed:
            if self.method == "fork":
                # The pool's own threads would make the forks to come unsafe.
                self.close_pool(keep=False)
            with Processes(self.batch, self.order) as alone:
                alone.run(suspects)

    def on_death(self, child: ChildView) -> None:
        self.time_out(child)
        running = child.running
        self._dead[child] = None if running is None else running[0]

    def dispatch(self, chunks: list[Chunk]) -> None:
        try:
            super().dispatch(chunks)
        except BrokenProcessPool:
            # The executor heard of a death before we did. The chunks count as sent; when we
            # hear of it too, the next pool gets them.
            self._broken_ns = self._broken_ns or monotonic_ns()

    def after_turn(self) -> None:
        if self._dead:
            self._mend()
        elif self._broken_ns and monotonic_ns() - self._broken_ns > _BROKEN_NS:
            # Broken, and nobody has died: it is of no use all the same.
            for process in self.held.processes:
                process.kill()
        else:
            super().after_turn()

    def _mend(self) -> None:
        """Put a new pool in the place of the broken one."""
        self._bury_all()
        suspects = self._find_suspects()
        self._dead.clear()
        answered = 0
        left: list[int] = []
        for chunk in self._chunks.values():
            unanswered = self.batch.intake.unanswered(chunk.indices)
            answered += len(chunk.indices) - len(unanswered)
            left += [index for index in unanswered if index not in suspects]
        self.close_pool(keep=False)
        self._chunks.clear()
        self._broken_ns = 0
        self._fruitless = 0 if answered or suspects else self._fruitless + 1
        if self._fruitless < _FRUITLESS_ALLOWED:
            self._suspects += suspects
            self._feed.give_back(left)
        else:
            # Children die again and again between items: alone in its process each shows its own.
            self._suspects += left
        if self._feed.has_more and not self.batch.gate.closed:
            self.open_pool()

    def _find_suspects(self) -> list[int]:
        """The items under which children died by themselves.

        The executor ends the other children by SIGTERM when one has died; a child that
        we killed for its item's time limit is nobody's fault either.
        """
        own = {w: index for w, index in self._dead.items() if _died_by_itself(w)}
        for child in own:
            _await_exit_code(child)
        first = {w: index for w, index in own.items() if not _was_terminated(w)}
        if not first and all(child.killed_index is None for child in self._dead):
            first = own
        running = [index for index in first.values() if index is not None]
        return self.batch.intake.unanswered(running)

    def _bury_all(self) -> None:
        # What the other children have finished is taken before they are forgotten. The executor
        # ends them; one that is deaf to SIGTERM gets a SIGKILL, and must not look like a culprit.
        deadline_ns = monotonic_ns() + _TERMINATE_NS
        while children := self.held.hub.children:
            if monotonic_ns() > deadline_ns:
                for child in children:
                    child.is_cleared_away = True
                    if child.process is not None:
                        child.process.kill()
            self.turn(self.held.hub)


def _died_by_itself(child: ChildView) -> bool:
    return child.killed_index is None and not child.is_cleared_away


def _await_exit_code(child: ChildView) -> None:
    # `join` may return before there is one: the executor's thread waits for the same process,
    # and the one that comes second learns nothing until the first has written it down.
    deadline_ns = monotonic_ns() + _EXIT_CODE_NS
    while child.process is not None and child.process.exitcode is None:
        if monotonic_ns() > deadline_ns:
            return
        sleep(_EXIT_CODE_POLL_S)


def _was_terminated(child: ChildView) -> bool:
    return child.process is not None and child.process.exitcode == -signal.SIGTERM
