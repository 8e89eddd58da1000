"""async def tasks in one event loop, as many coroutines as the concurrency says."""

import asyncio
from collections.abc import Iterator, Sequence

from batchpool.backends.base import Batch, InProcess
from batchpool.execution.run_item import Work, current_site
from batchpool.execution.run_item_async import CoroutineSlot, RacyLoopSum, run_item_async
from batchpool.execution.shared_sum import SharedSum

_YIELD_EVERY_NS = 1_000_000


class EventLoop(InProcess):
    """Runs items in `concurrency` consumers of one event loop; each takes item by item.

    A task's time limit holds at its next await, as does a cancel.
    """

    def __init__(self, batch: Batch) -> None:
        super().__init__(batch)
        assert batch.task.run_async is not None
        self.work = Work(
            function=batch.task.run_async,
            args=batch.args,
            add=self.sum.add if self.sum is not None else None,
            timeout_s=batch.run.task_timeout_s,
        )

    def make_sum(self) -> SharedSum | None:
        if self.batch.run.shared_sum == "racy":
            return RacyLoopSum()
        return super().make_sum()

    def run(self, indices: Sequence[int]) -> None:
        asyncio.run(self._run_all(indices))

    async def _run_all(self, indices: Sequence[int]) -> None:
        remaining = iter(indices)
        main = asyncio.current_task()
        assert main is not None
        slots = min(self.batch.concurrency, len(indices))
        async with asyncio.TaskGroup() as group:
            for number in range(slots):
                slot = CoroutineSlot(self.work, current_site(), self.slot(number), main)
                group.create_task(self._consume(remaining, slot), name=f"slot-{number}")

    async def _consume(self, remaining: Iterator[int], slot: CoroutineSlot) -> None:
        batch = self.batch
        yielded_ns = 0
        while not batch.stop_flag.closed:
            index = next(remaining, None)
            if index is None:
                return
            outcome = await run_item_async(slot, index, batch.item(index))
            batch.outcomes.add_one(outcome)
            # A task that never awaits would keep the loop to itself.
            if outcome.started_ns - yielded_ns > _YIELD_EVERY_NS:
                await asyncio.sleep(0)
                yielded_ns = outcome.started_ns
