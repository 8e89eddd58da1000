"""Run items in one thread; the same in every backend."""

import os
import sys
import threading
from collections.abc import Callable, Iterable
from time import monotonic_ns, thread_time_ns
from typing import Any, NamedTuple

from batchpool.execution import forks
from batchpool.execution.in_flight import RunningSlot
from batchpool.execution.result_encoding import ValueRefused, task_error, to_json_value
from batchpool.execution.shared_sum import Add
from batchpool.execution.stop_flag import StopFlag
from batchpool.model import ExecutionSite, Outcome, RecordState, TaskError

TASK_TIMEOUT = "task_timeout"
_local = threading.local()
_PLAIN = frozenset({int, float, bool, type(None)})
_LEAST_SHORT, _MOST_SHORT = -(2**63), 2**63

Result = tuple[RecordState, Any, TaskError | None, int | float | None]
"""The state, value, error and sum seen of an item."""
Row = tuple[Any, ...]
"""The fields of an `Outcome`, which costs three times as much to make."""
Put = Callable[[Row], bool | None]
"""Takes the record of an item; returns whether that took time, or may have."""


class Work(NamedTuple):
    """What all items of a batch have in common where they run."""

    function: Callable[..., Any]
    stop_flag: StopFlag
    """Once it is set, no further item is taken."""
    args: tuple[Any, ...]
    """What the function gets besides the item: the params, or nothing."""
    add: Add | None = None
    """Adds a number to the shared sum and returns the sum it saw; None without a shared sum."""
    timeout_s: float | None = None
    """For event loops, which can end a task at an await; elsewhere the parent does."""


def current_site() -> ExecutionSite:
    """The execution site of the caller; determined once per thread."""
    try:
        site: ExecutionSite = _local.site
    except AttributeError:
        site = _local.site = None  # type: ignore[assignment]
    # A forked child inherits the thread's site, but has another PID.
    if site is None or site.pid != os.getpid():
        site = _local.site = ExecutionSite(
            pid=os.getpid(),
            ppid=os.getppid(),
            thread_id=threading.get_native_id(),
            thread_name=threading.current_thread().name,
            interpreter=_interpreter_id(),
        )
    return site


def run_items(
    work: Work, site: ExecutionSite, slot: RunningSlot, pairs: Iterable[tuple[int, Any]], put: Put
) -> None:
    """Run items, given as (index, item), one after the other, and put their records.

    Never raises what a task raised: its SystemExit and KeyboardInterrupt are failures of that task.
    The slot covers an item until its record is made. Where nothing but our own microsecond lies
    between two items, the end of one is the start of the next: to read the clock costs as much.
    """
    function, stop_flag, args, add, _ = work
    is_chained, started_ns, cpu_ns = False, 0, 0
    for index, item in pairs:
        if not is_chained:
            # CPU time inside wall time: reading that clock costs CPU time itself.
            started_ns, cpu_ns = monotonic_ns(), thread_time_ns()
        slot[0] = started_ns
        slot[1] = index + 1
        try:
            value = function(item, *args) if args else function(item)
        except BaseException as exc:
            cpu_end_ns, ended_ns = thread_time_ns(), monotonic_ns()
            result, is_chained = _failed(exc), False
        else:
            cpu_end_ns, ended_ns = thread_time_ns(), monotonic_ns()
            if forks.is_stray:
                forks.leave()
            # To check a text, or to add to a sum, may take any time.
            is_chained = type(value) in _PLAIN and add is None
            if is_chained and type(value) is int and _LEAST_SHORT < value < _MOST_SHORT:
                result = ("succeeded", value, None, None)
            else:
                result = _returned(value, add)
        state, value, error, seen = result
        wall_ns, used_ns = ended_ns - started_ns, cpu_end_ns - cpu_ns
        row = (index, state, value, error, site, started_ns, wall_ns, used_ns, seen, 1, ())
        slot[1] = 0
        is_chained = not put(row) and is_chained
        started_ns, cpu_ns = ended_ns, cpu_end_ns
        if stop_flag.closed:
            return


def _failed(exc: BaseException) -> Result:
    if forks.is_stray:
        forks.leave(exc)
    return "failed", None, task_error(exc), None


def _returned(value: Any, add: Add | None) -> Result:
    try:
        value = to_json_value(value)
        return "succeeded", value, None, None if add is None else add(value)
    except ValueRefused as refused:
        return "failed", None, refused.error, None


def make_outcome(row: tuple[Any, ...]) -> Outcome:
    # Not Outcome(...): keyword defaults cost 0.3 µs, and this runs once per item.
    return tuple.__new__(Outcome, row)


def _interpreter_id() -> int:
    if sys.version_info < (3, 14):
        return 0
    from concurrent import interpreters  # type: ignore[attr-defined,unused-ignore]

    return int(interpreters.get_current().id)
