"""A concurrent.futures.ProcessPoolExecutor, fed by submit or by map, warm or fresh."""

import signal
from concurrent.futures.process import BrokenProcessPool
from time import monotonic_ns, sleep

from batchpool.backends.base import Batch
from batchpool.backends.chunking import Chunk
from batchpool.backends.item_source import ItemSource
from batchpool.backends.pool_backend import PoolBackend
from batchpool.backends.process_per_task import ProcessPerTask
from batchpool.children.monitor import ChildHandle

_FRUITLESS_ALLOWED = 3
_EXIT_CODE_NS = 500_000_000
_EXIT_CODE_POLL_S = 0.001
_BROKEN_NS = 2_000_000_000
_TERMINATE_NS = 200_000_000


class ProcessPool(PoolBackend):
    """The pool's children are processes, and one may die.

    A death breaks the whole executor. A new one runs the unanswered items; those that the
    dead child was running, the suspects, are run at the end, each alone in a fresh process.
    """

    def __init__(self, batch: Batch) -> None:
        super().__init__(batch)
        self._suspects: list[int] = []
        self._dead: dict[ChildHandle, int | None] = {}
        self._deaths_without_progress = 0
        self._broken_ns = 0

    def run(self, items: ItemSource) -> None:
        while items.has_more and not self.batch.stop_flag.closed:
            self._suspects = []
            super().run(items)
            suspects = self.batch.outcomes.unanswered(self._suspects)
            if suspects and not self.batch.stop_flag.closed:
                if self.method == "fork":
                    # The pool's own threads would make later forks unsafe.
                    self.close_pool(keep=False)
                with ProcessPerTask(self.batch, self.order) as alone:
                    alone.run(items.part(suspects))

    def on_death(self, child: ChildHandle) -> None:
        self.time_out(child)
        running = child.running
        self._dead[child] = None if running is None else running[0]

    def dispatch(self, chunks: list[Chunk]) -> None:
        try:
            super().dispatch(chunks)
        except BrokenProcessPool:
            # The executor noticed a death before we did. The chunks count as sent; when we
            # notice it too, the next pool gets them.
            self._broken_ns = self._broken_ns or monotonic_ns()

    def after_turn(self) -> None:
        if self._dead:
            self._replace_pool()
        elif not self.executor_pool.has_manager or self._is_broken_for_long:
            # Broken, though no child has died: replace it all the same.
            for process in self.executor_pool.processes:
                process.kill()
        else:
            super().after_turn()

    @property
    def _is_broken_for_long(self) -> bool:
        return self._broken_ns != 0 and monotonic_ns() - self._broken_ns > _BROKEN_NS

    def _replace_pool(self) -> None:
        """Replace the broken pool by a new one."""
        self._drain_dead()
        suspects = self._find_suspects()
        self._dead.clear()
        answered = 0
        left: list[int] = []
        for chunk in self._chunks.values():
            unanswered = self.batch.outcomes.unanswered(chunk.indices, chunk.sent_ns)
            answered += len(chunk.indices) - len(unanswered)
            left += [index for index in unanswered if index not in suspects]
        self.close_pool(keep=False)
        self._chunks.clear()
        self._broken_ns = 0
        self._deaths_without_progress = (
            0 if answered or suspects else self._deaths_without_progress + 1
        )
        if self._deaths_without_progress < _FRUITLESS_ALLOWED:
            self._suspects += suspects
            self._items.give_back(left)
        else:
            # Children die repeatedly between items: run alone, each item shows its own crash.
            self._suspects += left

    def _find_suspects(self) -> list[int]:
        """The items whose children died by themselves.

        The executor ends the other children by SIGTERM when one has died; a child that
        we killed for its item's time limit is no suspect either.
        """
        own = {w: index for w, index in self._dead.items() if _died_by_itself(w)}
        for child in own:
            _await_exit_code(child)
        first = {w: index for w, index in own.items() if not _was_terminated(w)}
        if not first and all(child.killed_index is None for child in self._dead):
            first = own
        running = [index for index in first.values() if index is not None]
        return self.batch.outcomes.unanswered(running)

    def _drain_dead(self) -> None:
        # What the other children have finished is taken before they are forgotten. The executor
        # ends them; one that ignores SIGTERM gets a SIGKILL, and must not become a suspect.
        deadline_ns = monotonic_ns() + _TERMINATE_NS
        while children := self.executor_pool.monitor.children:
            if monotonic_ns() > deadline_ns:
                for child in children:
                    child.is_cleared_away = True
                    if child.process is not None:
                        child.process.kill()
            self.poll(self.executor_pool.monitor)


def _died_by_itself(child: ChildHandle) -> bool:
    return child.killed_index is None and not child.is_cleared_away


def _await_exit_code(child: ChildHandle) -> None:
    # `join` may return before there is one: the executor's thread waits for the same process,
    # and the second one gets no exit code until the first has stored it.
    deadline_ns = monotonic_ns() + _EXIT_CODE_NS
    while child.process is not None and child.process.exitcode is None:
        if monotonic_ns() > deadline_ns:
            return
        sleep(_EXIT_CODE_POLL_S)


def _was_terminated(child: ChildHandle) -> bool:
    return child.process is not None and child.process.exitcode == -signal.SIGTERM
