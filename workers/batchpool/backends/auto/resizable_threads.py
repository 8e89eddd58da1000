"""Threads of this process that run items, as many as are wanted at the moment."""

import threading
import time
from collections.abc import Callable

from batchpool.backends.auto.shared_items import SharedItems
from batchpool.backends.base import Batch
from batchpool.errors import LimitReached
from batchpool.execution.in_flight import RunningSlot
from batchpool.execution.run_item import Work, current_site, run_item
from batchpool.system.limits import start_thread


class ResizableThreads:
    """Lanes that take item by item from a feed; their number may change at any time.

    Promises: never more than `resize` said run, once the surplus has ended its items. A lane
    ends when nothing is left, when it is surplus, or when the gate is closed.
    """

    def __init__(self, batch: Batch, work: Work, slot: Callable[[int], RunningSlot]) -> None:
        self._batch = batch
        self._work = work
        self._slot = slot
        self._items: SharedItems
        self._changed = threading.Condition()
        self._wanted = 0
        self._threads: dict[int, threading.Thread] = {}
        self._leaving: list[threading.Thread] = []
        self._clocks: dict[int, int] = {}
        self._ended_cpu_s = 0.0
        self.most = batch.concurrency
        """How many lanes there can be."""
        self.broken: BaseException | None = None
        """What the engine's own code raised in a lane."""

    @property
    def size(self) -> int:
        """How many lanes there are, those that are about to end included."""
        return len(self._threads)

    def take_from(self, items: SharedItems) -> None:
        """Where items come from; between two waves only."""
        self._items = items

    def resize(self, wanted: int) -> None:
        """Have so many lanes, or as many as there are items; surplus ones end their items first.

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
        """Wait until no lane is left, for so long at most; whether that came true."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._threads, seconds)

    def stop(self) -> None:
        """Have no lanes; returns when each has ended its item."""
        with self._changed:
            self._wanted = 0
            self._changed.wait_for(lambda: not self._threads)
        # Joined, not only heard of: a thread that said it was done is alive for a moment longer.
        while self._leaving:
            self._leaving.pop().join()

    def cpu_s(self) -> float:
        """CPU time that all lanes have used so far, that of running items included."""
        with self._changed:
            return self._ended_cpu_s + sum(map(time.clock_gettime, self._clocks.values()))

    def queued_s(self) -> float:
        """How long the lanes that there are have been ready to run and without a CPU.

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
        # Not asked from outside: the clock of a thread that has ended is undefined behaviour.
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
        batch, work, items = self._batch, self._work, self._items
        slot, site, stop_flag, outcomes = (
            self._slot(number),
            current_site(),
            batch.stop_flag,
            batch.outcomes,
        )
        # The highest numbers are surplus: of two lanes that see one too many, only one must go.
        while not stop_flag.closed and number < self._wanted:
            index = items.take_one()
            if index is None:
                return
            outcomes.add_one(run_item(work, site, slot, index, batch.item(index)))

    def _leave(self, number: int) -> None:
        self._leaving.append(self._threads.pop(number))
        self._ended_cpu_s += time.clock_gettime(self._clocks.pop(number))
        self._changed.notify_all()


def queued_s(thread: int | None) -> float:
    """How long a thread has been ready and without a CPU; 0 where the kernel does not say."""
    try:
        with open(f"/proc/self/task/{thread}/schedstat") as file:
            return int(file.read().split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return 0.0
