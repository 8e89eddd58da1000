"""Run items in one thread; the same in every backend.

A task's SystemExit and KeyboardInterrupt are failures of that task. A slot covers an item until its
record is made. The clock of CPU time is read inside the wall time, since reading it costs CPU time
itself. Where nothing but our own microsecond lies between two items, the end of one is the start of
the next: to read the clocks costs as much.
"""

import os
import sys
import threading
from collections.abc import Callable, Iterable
from time import monotonic_ns, thread_time_ns
from typing import Any, NamedTuple

from batchpool.execution import forks
from batchpool.execution.finished_records import ROW_BYTES, pack_row
from batchpool.execution.result_encoding import ValueRefused, task_error, to_json_value
from batchpool.execution.shared_sum import Add
from batchpool.execution.slot import Slot
from batchpool.execution.stop_flag import StopFlag
from batchpool.model import ExecutionSite, Outcome, RecordState, TaskError

TASK_TIMEOUT = "task_timeout"
_local = threading.local()
_PLAIN = frozenset({int, float, bool, type(None)})
_LEAST_SHORT, _MOST_SHORT = -(2**63), 2**63 - 1

Pair = tuple[int, Any]
"""The index of an item, and the item."""
Result = tuple[RecordState, Any, TaskError | None, int | float | None]
"""The state, value, error and sum seen of an item."""


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


def run_items(work: Work, site: ExecutionSite, slot: Slot, pairs: Iterable[Pair]) -> None:
    """Run items one after the other, and put their records; never raises what a task raised."""
    function, stop_flag, args, add, _ = work
    running, put, records = slot
    at, end, stamp = records.begin(site)
    is_chained, started_ns, cpu_ns = False, 0, 0
    for index, item in pairs:
        if not is_chained:
            started_ns, cpu_ns = monotonic_ns(), thread_time_ns()
        running[0] = started_ns
        running[1] = index + 1
        try:
            value = function(item, *args) if args else function(item)
        except BaseException as exc:
            cpu_end_ns, ended_ns = thread_time_ns(), monotonic_ns()
            (state, value, error, seen), is_chained, is_short = _failed(exc), False, False
        else:
            cpu_end_ns, ended_ns = thread_time_ns(), monotonic_ns()
            if forks.is_stray:
                forks.leave()
            # To check a text, or to add to a sum, may take any time.
            is_chained = type(value) in _PLAIN and add is None
            is_short = is_chained and type(value) is int and _LEAST_SHORT <= value <= _MOST_SHORT
            state, error, seen = "succeeded", None, None
            if not is_short:
                state, value, error, seen = _returned(value, add)
        wall_ns, used_ns = ended_ns - started_ns, cpu_end_ns - cpu_ns
        row = (index, state, value, error, site, started_ns, wall_ns, used_ns, seen, 1, ())
        if is_short and at < end:
            pack_row(records.file, at, index, started_ns, wall_ns, used_ns, value, stamp)
            at += ROW_BYTES
        else:
            at, end, stamp = records.keep(at, row)
        running[1] = 0
        is_chained = not put(row) and is_chained
        started_ns, cpu_ns = ended_ns, cpu_end_ns
        if stop_flag.closed:
            break
    records.at = at


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
