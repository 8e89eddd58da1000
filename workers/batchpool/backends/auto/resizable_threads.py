"""A group of threads that run items, whose number can change while they run."""

import threading
import time
from collections.abc import Callable, Iterator

from batchpool.backends.base import Batch
from batchpool.backends.item_loop import run_until_stopped
from batchpool.backends.item_source import ItemSource
from batchpool.errors import LimitReached
from batchpool.execution.run_item import Work
from batchpool.execution.slot import Slot
from batchpool.system.limits import start_thread


class ResizableThreads:
    """Threads that take item by item; their number may change at any time.

    Promises: no more than `resize` allowed run, once surplus threads have ended their items. A
    thread ends when no item is left, when it is surplus, or when the stop flag is set.
    """

    def __init__(self, batch: Batch, work: Work, slot: Callable[[int], Slot]) -> None:
        self._batch = batch
        self._work = work
        self._slot = slot
        self._items: ItemSource
        self._changed = threading.Condition()
        self._wanted = 0
        self._threads: dict[int, threading.Thread] = {}
        self._leaving: list[threading.Thread] = []
        self._clocks: dict[int, int] = {}
        self._ended_cpu_s = 0.0
        self.most = batch.concurrency
        """The highest number of threads that is possible."""
        self.broken: BaseException | None = None
        """What our own code raised in a thread."""

    @property
    def size(self) -> int:
        """How many threads there are, those that are about to end included."""
        return len(self._threads)

    def take_from(self, items: ItemSource) -> None:
        """Set where items come from; only while no thread runs."""
        self._items = items

    def resize(self, wanted: int) -> None:
        """Run so many threads, at most one per item; surplus ones end their items first.

        Where no more threads can be started it goes on with those that there are.

        Raises:
            LimitReached: there is none.
        """
        with self._changed:
            self._wanted = wanted
            if not self._batch.stop_flag.closed:
                wanted = min(wanted, self.most)
                missing = [number for number in range(wanted) if number not in self._threads]
                for number in missing[: len(self._items)]:
                    if not self._start(number):
                        return

    def wait(self, seconds: float) -> bool:
        """Wait until no thread is left, at most so long; returns whether none is left."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._threads, seconds)

    def stop(self) -> None:
        """Stop all threads; returns when each has ended its item."""
        with self._changed:
            self._wanted = 0
            self._changed.wait_for(lambda: not self._threads)
        # Joined: a thread that reported its end is alive for a moment longer.
        while self._leaving:
            self._leaving.pop().join()

    def cpu_s(self) -> float:
        """CPU time that all threads have used so far, including that of running items."""
        with self._changed:
            return self._ended_cpu_s + sum(map(time.clock_gettime, self._clocks.values()))

    def queued_s(self) -> float:
        """How long the present threads have been ready to run and without a CPU.

        With it one thread shows what it could use of a machine that others use too. Not several:
        threads that pass the GIL on to each other queue for CPUs as well.
        """
        with self._changed:
            threads = [thread.native_id for thread in self._threads.values()]
        return sum(map(queued_s, threads))

    def _start(self, number: int) -> bool:
        thread = threading.Thread(target=self._run, args=(number,), name=f"auto-{number}")
        self._threads[number] = thread
        try:
            start_thread(thread)
        except LimitReached:
            del self._threads[number]
            if not self._threads:
                raise
            self.most = len(self._threads)
            return False
        return True

    def _run(self, number: int) -> None:
        # Read by the thread itself: the clock of one that has ended is undefined behaviour.
        clock = time.pthread_getcpuclockid(threading.get_ident())
        with self._changed:
            self._clocks[number] = clock
        try:
            self._run_items(number)
        except BaseException as error:  # only the sink can raise here: a task's errors are data
            self.broken = error
            self._batch.stop_flag.close("broken")
        finally:
            with self._changed:
                self._leave(number)

    def _run_items(self, number: int) -> None:
        run_until_stopped(self._batch, self._work, self._slot(number), self._take(number))

    def _take(self, number: int) -> Iterator[int]:
        def is_surplus() -> bool:
            # The highest numbers: of two threads that see one too many, only one must end.
            return number >= self._wanted

        while not is_surplus() and (index := self._items.take_one(is_surplus)) is not None:
            yield index

    def _leave(self, number: int) -> None:
        self._leaving.append(self._threads.pop(number))
        self._ended_cpu_s += time.clock_gettime(self._clocks.pop(number))
        self._changed.notify_all()


def queued_s(thread: int | None, pid: int | str = "self") -> float:
    """How long a thread has been ready and without a CPU; 0 where the kernel does not say."""
    try:
        with open(f"/proc/{pid}/task/{thread}/schedstat") as file:
            return int(file.read().split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return 0.0
