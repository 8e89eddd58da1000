"""async def tasks in one event loop, as many coroutines as the concurrency says."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from batchpool.backends.base import Batch, InProcess
from batchpool.backends.item_source import NAP_S, ItemSource
from batchpool.execution.run_item import Work, current_site
from batchpool.execution.run_item_async import CoroutineSlot, RacyLoopSum, run_item_async
from batchpool.execution.shared_sum import SharedSum
from batchpool.execution.stop_flag import StopFlag

_YIELD_EVERY_NS = 1_000_000
_LEFTOVERS_END_WITHIN_S = 0.5


class EventLoop(InProcess):
    """Runs items in `concurrency` consumers of one event loop; each takes item by item.

    A task's time limit holds at its next await, as does a cancel.
    """

    def __init__(self, batch: Batch) -> None:
        super().__init__(batch)
        assert batch.task.run_async is not None
        self.work = Work(
            function=batch.task.run_async,
            stop_flag=batch.stop_flag,
            args=batch.args,
            add=self.sum.add if self.sum is not None else None,
            timeout_s=batch.run.task_timeout_s,
        )
        self.ending = StopFlag()
        """Set once coroutines are to end when they are cancelled."""

    def make_sum(self) -> SharedSum | None:
        if self.batch.run.shared_sum == "racy":
            return RacyLoopSum()
        return super().make_sum()

    def run(self, items: ItemSource) -> None:
        loop = asyncio.new_event_loop()
        # Its threads may run on for ever: unlike the loop's own, this one can be left alone.
        executor = ThreadPoolExecutor(thread_name_prefix="asyncio")
        loop.set_default_executor(executor)
        source = iter(items.unwrapped()) if items.is_plain else Waits(items, self.batch.stop_flag)
        consumers = Consumers(loop, partial(self._consume, source), self.ending)
        try:
            self.watch(loop)
            for number in range(min(self.batch.concurrency, len(items))):
                slot = CoroutineSlot(self.work, current_site(), self.slot(number), self.ending)
                consumers.start(slot, number)
            while consumers.are_running:
                self._run(loop)
            consumers.check()
        finally:
            self.ending.close("ended")
            if isinstance(source, Waits):
                source.close()
            if _end_leftovers(loop):
                loop.close()
            else:
                # A closed loop would leave them pending, and complain of each.
                self.batch.context.must_restart_because = "coroutines of tasks ignore their end"
            executor.shutdown(wait=False, cancel_futures=True)
            asyncio.set_event_loop(None)

    def watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """Called before the first coroutine begins."""

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        """Run the loop until something stops it: the end of all items, or a task in between."""
        try:
            loop.run_forever()
        except (SystemExit, KeyboardInterrupt):
            # In a callback, or a coroutine that a task left in the loop: no end of the others.
            if not self.batch.context.owns_process:
                raise

    async def _consume(
        self, source: "Iterator[int] | Waits", slot: CoroutineSlot, number: int
    ) -> None:
        batch = self.batch
        yielded_ns = 0
        while not batch.stop_flag.closed:
            index = await source.take_one() if isinstance(source, Waits) else next(source, None)
            if index is None:
                return
            started_ns = await run_item_async(slot, index, batch.item(index))
            if isinstance(source, Waits):
                source.changed.set()
            # A task that never awaits would keep the loop to itself.
            if started_ns - yielded_ns > _YIELD_EVERY_NS:
                batch.outcomes.wait_for_sink()
                await asyncio.sleep(0)
                yielded_ns = started_ns


class Consumers:
    """The coroutines that take items; another takes the place of one that a task cancels."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        consume: Callable[[CoroutineSlot, int], Coroutine[Any, Any, None]],
        ending: StopFlag,
    ) -> None:
        self._loop = loop
        self._consume = consume
        self._ending = ending
        self._running: set[asyncio.Task[None]] = set()
        self._failure: BaseException | None = None

    @property
    def are_running(self) -> bool:
        """Whether none has failed, and not all have ended."""
        return bool(self._running) and self._failure is None

    def start(self, slot: CoroutineSlot, number: int) -> None:
        """Begin to take items for a slot."""
        task = self._loop.create_task(self._consume(slot, number), name=f"slot-{number}")
        self._running.add(task)
        task.add_done_callback(partial(self._ended, slot, number))

    def check(self) -> None:
        """Raise what one of them raised."""
        if self._failure is not None:
            raise self._failure

    def _ended(self, slot: CoroutineSlot, number: int, task: "asyncio.Task[None]") -> None:
        self._running.discard(task)
        if not task.cancelled():
            self._failure = self._failure or task.exception()
        elif not self._ending.closed:
            self.start(slot, number)
        if not self.are_running:
            self._loop.stop()


class Waits:
    """Takes items of a source for coroutines, of which one looks at the clock at a time."""

    def __init__(self, items: ItemSource, stop_flag: StopFlag) -> None:
        self._items = items
        self._stop_flag = stop_flag
        self._turn = asyncio.Lock()
        # Not the loop's own, which tasks may fill.
        self._asking = ThreadPoolExecutor(1, "rate")
        self.changed = asyncio.Event()

    def close(self) -> None:
        """End the thread that asks for tokens, if there is one."""
        self._asking.shutdown()

    async def take_one(self) -> int | None:
        """The next item, waiting for it; None when there will be none."""
        items = self._items
        if not items.must_ask and (taken := items.take(1)):
            return taken[0]
        async with self._turn:
            while not (self._stop_flag.closed or items.paused):
                if items.must_ask:
                    await asyncio.get_running_loop().run_in_executor(self._asking, items.ask)
                if taken := items.take(1):
                    return taken[0]
                if items.is_over:
                    return None
                self.changed.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(items.pause_s(NAP_S)):
                        await self.changed.wait()
        return None


def _end_leftovers(loop: asyncio.AbstractEventLoop) -> bool:
    """Cancel what tasks left in the loop; False if something of it goes on nevertheless."""
    left = asyncio.all_tasks(loop)
    for each in left:
        each.cancel()

    async def end() -> bool:
        if left:
            _, pending = await asyncio.wait(left, timeout=_LEFTOVERS_END_WITHIN_S)
            if pending:
                return False
        try:
            async with asyncio.timeout(_LEFTOVERS_END_WITHIN_S):
                await loop.shutdown_asyncgens()
        except Exception:  # whatever a generator of a task raises as it is closed
            return False
        return True

    try:
        return loop.run_until_complete(end())
    # What is left may stop the loop too.
    except (RuntimeError, SystemExit, KeyboardInterrupt):
        return False
