"""One threading.Thread per task, as in the notebook."""

import threading
from queue import SimpleQueue

from batchpool.backends.base import Batch, InProcess
from batchpool.backends.item_loop import run_until_stopped
from batchpool.backends.item_source import ItemSource
from batchpool.errors import LimitReached
from batchpool.system.limits import start_thread

_Ended = SimpleQueue[tuple[int, threading.Thread]]


class ThreadPerTask(InProcess):
    """Starts a new thread for each item, with never more than `concurrency` of them alive.

    Where no more threads can be started it goes on with those that there are.
    """

    def __init__(self, batch: Batch) -> None:
        super().__init__(batch)
        self._most = batch.concurrency
        self._broken: BaseException | None = None

    @property
    def effective_concurrency(self) -> int:
        return self._most

    def run(self, items: ItemSource) -> None:
        free = list(range(self._most))
        ended: _Ended = SimpleQueue()
        remaining = iter(items.unwrapped())
        try:
            while not self.batch.stop_flag.closed:
                # First: an item is taken when it can begin.
                if not free:
                    free.append(_reap(ended))
                index = next(remaining, None)
                if index is None or self.batch.stop_flag.closed:
                    break
                self._start(index, free, ended)
        finally:
            while len(free) < self._most:
                free.append(_reap(ended))
        if self._broken is not None:
            raise self._broken

    def _start(self, index: int, free: list[int], ended: "_Ended") -> None:
        """Start a thread for the item in one of the free slots; there may be fewer slots then."""
        while True:
            slot = free[-1]
            thread = threading.Thread(
                target=self._run_item, args=(index, slot, ended), name=f"item-{index}"
            )
            alive = self._most - len(free)
            try:
                start_thread(thread, patient=alive == 0 or self._most < self.batch.concurrency)
            except LimitReached:
                if alive == 0:
                    raise
                self._most = alive
                free[:] = [_reap(ended)]
            else:
                free.pop()
                return

    def _run_item(self, index: int, slot: int, ended: "_Ended") -> None:
        try:
            run_until_stopped(self.batch, self.work, self.slot(slot), (index,))
        except BaseException as exc:  # only the sink can raise here: a task's errors are data
            self._broken = exc
            self.batch.stop_flag.close("broken")
        finally:
            ended.put((slot, threading.current_thread()))


def _reap(ended: "_Ended") -> int:
    # Joined: a thread that reported its end is alive for a moment longer.
    slot, thread = ended.get()
    thread.join()
    return slot
