"""A concurrent.futures.ThreadPoolExecutor, fed by submit or by map."""

import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from itertools import chain

from batchpool.backends.base import InProcess
from batchpool.backends.item_loop import run_until_stopped
from batchpool.backends.item_source import ItemSource
from batchpool.execution.slot import Slot
from batchpool.system.interpreter import gil_enabled
from batchpool.system.limits import FewerThreads


class SharedIterator:
    """Hands out each of its values once, to any number of threads."""

    def __init__(self, values: Iterable[int]) -> None:
        self._values = iter(values)
        self._lock = threading.Lock()
        # With a GIL next() on a range or list is one step; without one two threads may get
        # the same value.
        self.take = self._values.__next__ if gil_enabled() else self._take_locked

    def _take_locked(self) -> int:
        with self._lock:
            return next(self._values)

    def __iter__(self) -> Iterator[int]:
        return self

    def __next__(self) -> int:
        return self.take()


_SUBMITTED_PER_SLOT = 4


class ThreadPool(InProcess):
    """Runs items in the threads of one executor, made for the batch.

    Where no more threads can be started it goes on with those that there are.

    `submit` makes one future per item. `map` makes one call per slot, and each takes item by
    item until none are left: no slot waits for items that another one has taken, and an item
    costs a microsecond, not a future. A given `chunksize` is how many items a slot takes at once;
    items that may come back are taken one by one.
    """

    pool = "fresh"

    def __enter__(self) -> "ThreadPool":
        super().__enter__()
        self._local = threading.local()
        slots = [self.slot(number) for number in range(self.batch.concurrency)]
        # No method of this object: a cycle over the executor would keep it and the batch alive.
        self._executor = FewerThreads(
            self.batch.concurrency,
            thread_name_prefix="thread-pool",
            initializer=_assign_slot,
            initargs=(self._local, iter(slots)),
        )
        self._open.enter_context(self._executor)
        return self

    @property
    def effective_concurrency(self) -> int:
        return self._executor.most_threads

    def run(self, items: ItemSource) -> None:
        try:
            if self.batch.run.dispatch == "submit":
                self._submit(items)
            else:
                self._map(items)
        except BaseException:
            self.batch.stop_flag.close("broken")
            raise

    def _map(self, items: ItemSource) -> None:
        size = self.batch.run.chunksize or 1 if items.is_plain else 1
        threads = min(self.batch.concurrency, -(-len(items) // size))
        each = items.unwrapped()
        shared = each if threads == 1 else SharedIterator(each)

        def run_slot(_: int) -> None:
            self._run_items(shared if size == 1 else chain.from_iterable(_chunks(items, size)))

        for _ in self._executor.map(run_slot, range(threads)):
            pass

    def _run_items(self, taken: Iterable[int]) -> None:
        try:
            run_until_stopped(self.batch, self.work, self._local.slot, taken)
        except BaseException:
            self.batch.stop_flag.close("broken")
            raise

    def _submit(self, items: ItemSource) -> None:
        # With a rate an item is submitted when it may begin.
        per_slot = _SUBMITTED_PER_SLOT if self.batch.run.rate is None else 1
        window = threading.BoundedSemaphore(self.batch.concurrency * per_slot)
        broken: list[BaseException] = []

        def done(future: Future[None]) -> None:
            if error := future.exception():
                broken.append(error)
                self.batch.stop_flag.close("broken")
            window.release()

        remaining = iter(items.unwrapped())
        while True:
            window.acquire()
            index = None if self.batch.stop_flag.closed else next(remaining, None)
            if index is None:
                window.release()
                break
            self._executor.submit(self._run_submitted, index).add_done_callback(done)
        for _ in range(self.batch.concurrency * per_slot):
            window.acquire()
        if broken:
            raise broken[0]

    def _run_submitted(self, index: int) -> None:
        run_until_stopped(self.batch, self.work, self._local.slot, (index,))


def _chunks(items: ItemSource, size: int) -> Iterator[Sequence[int]]:
    while chunk := items.take(size):
        yield chunk


def _assign_slot(local: threading.local, free_slots: Iterator[Slot]) -> None:
    local.slot = next(free_slots)
