"""Run one item as a coroutine: its CPU time is that of its steps, its time limit the loop's."""

import asyncio
from collections.abc import Coroutine, Generator
from time import monotonic_ns, thread_time_ns
from typing import Any, NamedTuple, Self

from batchpool.execution import forks
from batchpool.execution.item_output import enter_coroutine
from batchpool.execution.result_encoding import ValueRefused, task_error, to_json_value
from batchpool.execution.run_item import TASK_TIMEOUT, Work
from batchpool.execution.shared_sum import Number, RacySum, add_or_keep, to_json_number
from batchpool.execution.slot import Slot
from batchpool.execution.stop_flag import StopFlag
from batchpool.model import ExecutionSite, RecordState, TaskError


class CpuMeter:
    """Awaits a coroutine and adds up the CPU time of its steps, and of them only."""

    __slots__ = ("_coroutine", "cpu_ns")

    def __init__(self) -> None:
        self._coroutine: Coroutine[Any, Any, Any]
        self.cpu_ns = 0

    def over(self, coroutine: Coroutine[Any, Any, Any]) -> Self:
        """Meter this coroutine."""
        self._coroutine = coroutine
        return self

    def __await__(self) -> Generator[Any, Any, Any]:
        step, throw = self._coroutine.send, self._coroutine.throw
        sent: Any = None
        error: BaseException | None = None
        while True:
            cpu_ns = thread_time_ns()
            try:
                yielded = step(sent) if error is None else throw(error)
            except StopIteration as end:
                return end.value
            finally:
                self.cpu_ns += thread_time_ns() - cpu_ns
                # A child that the task forked must not go on with the loop's other coroutines.
                if forks.is_stray:
                    forks.leave()
            try:
                sent, error = (yield yielded), None
            except GeneratorExit:
                self._coroutine.close()
                raise
            except BaseException as exc:
                sent, error = None, exc


class RacyLoopSum(RacySum):
    """The racy sum of an event loop: other coroutines run between the read and the write."""

    async def add_async(self, value: Any) -> Number | None:
        """Like `add`, with an await as the pause."""
        kind = type(value)
        if kind is not int and kind is not float:
            return None
        read = self._total
        await asyncio.sleep(0)
        self._total = read = add_or_keep(read, value)
        return to_json_number(read)


class CoroutineSlot(NamedTuple):
    """One of the coroutines of an event loop that run items."""

    work: Work
    site: ExecutionSite
    slot: Slot
    ending: StopFlag
    """Once it is set, a cancel ends everything."""


async def run_item_async(own: CoroutineSlot, index: int, item: Any) -> int:
    """Run one item in the loop and put its record; never raises what the task raised.

    Returns:
        when it was started (ns).
    """
    work, slot = own.work, own.slot.running
    state: RecordState = "succeeded"
    value: Any = None
    error: TaskError | None = None
    seen = None
    slot[0] = started_ns = monotonic_ns()
    slot[1] = index + 1
    enter_coroutine(slot, started_ns)
    limit = asyncio.timeout(work.timeout_s)
    metered = CpuMeter()
    try:
        async with limit:
            value = await metered.over(work.function(item, *work.args))
        wall_ns = monotonic_ns() - started_ns
        if limit.expired():
            raise TimeoutError
        value = to_json_value(value)
        seen = await _add(work, value)
    except ValueRefused as refused:
        state, value, error = "failed", None, refused.error
    except BaseException as exc:
        wall_ns = monotonic_ns() - started_ns
        _pass_on_cancel(exc, own.ending)
        state, value, error = "failed", None, task_error(exc, own_frames=2)
        if limit.expired():
            state, error = "timeout", timeout_error(work.timeout_s)
    row = (index, state, value, error, own.site, started_ns, wall_ns, metered.cpu_ns, seen, 1, ())
    slot[1] = 0
    own.slot.records.begin(own.site)
    own.slot.records.keep(own.slot.records.at, row)
    own.slot.put(row)
    return started_ns


def timeout_error(timeout_s: float | None) -> TaskError:
    """The error in the record of a task that reached its time limit."""
    return TaskError(
        type=TASK_TIMEOUT, message=f"ran longer than task_timeout_s = {timeout_s}", traceback=None
    )


async def _add(work: Work, value: Any) -> Number | None:
    if work.add is None:
        return None
    owner = getattr(work.add, "__self__", None)
    if isinstance(owner, RacyLoopSum):
        return await owner.add_async(value)
    return work.add(value)


def _pass_on_cancel(exc: BaseException, ending: StopFlag) -> None:
    # A cancel at the end of the run must go on. Any other was a task's doing: it raised
    # CancelledError, or cancelled coroutines of the loop, and the item failed by it.
    if isinstance(exc, asyncio.CancelledError):
        if ending.closed:
            raise exc
        current = asyncio.current_task()
        while current is not None and current.cancelling():
            current.uncancel()
