"""Run one item in one thread; the same in every backend."""

import os
import sys
import threading
from collections.abc import Callable
from time import monotonic_ns, thread_time_ns
from typing import Any, NamedTuple

from batchpool.execution import forks
from batchpool.execution.in_flight import RunningSlot
from batchpool.execution.result_encoding import ValueRefused, task_error, to_json_value
from batchpool.execution.shared_sum import Add
from batchpool.model import ExecutionSite, Outcome, TaskError

TASK_TIMEOUT = "task_timeout"
_local = threading.local()


class Work(NamedTuple):
    """What all items of a batch have in common where they run."""

    function: Callable[..., Any]
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


def run_item(work: Work, site: ExecutionSite, slot: RunningSlot, index: int, item: Any) -> Outcome:
    """Run one item and return its outcome; never raises what the task raised.

    A task's SystemExit and KeyboardInterrupt are failures of that task. `wall_ns` and
    `cpu_ns` are those of the task alone, to a microsecond; the slot covers all of it until
    the outcome is made.
    """
    state = "succeeded"
    value: Any = None
    error: TaskError | None = None
    seen = None
    slot[0] = started_ns = monotonic_ns()
    slot[1] = index + 1
    # Inside the wall time: reading this clock costs CPU itself, half a microsecond.
    cpu_ns = thread_time_ns()
    try:
        value = work.function(item, *work.args)
    except BaseException as exc:
        cpu_ns = thread_time_ns() - cpu_ns
        wall_ns = monotonic_ns() - started_ns
        if forks.is_stray:
            forks.leave(exc)
        state, error = "failed", task_error(exc)
    else:
        cpu_ns = thread_time_ns() - cpu_ns
        wall_ns = monotonic_ns() - started_ns
        if forks.is_stray:
            forks.leave()
        try:
            value = to_json_value(value)
            if work.add is not None:
                seen = work.add(value)
        except ValueRefused as refused:
            state, value, error = "failed", None, refused.error
    outcome = make_outcome(
        (index, state, value, error, site, started_ns, wall_ns, cpu_ns, seen, 1, ())
    )
    slot[1] = 0
    return outcome


def make_outcome(row: tuple[Any, ...]) -> Outcome:
    # Not Outcome(...): keyword defaults cost 0.3 µs, and this runs once per item.
    return tuple.__new__(Outcome, row)


def _interpreter_id() -> int:
    if sys.version_info < (3, 14):
        return 0
    from concurrent import interpreters  # type: ignore[attr-defined,unused-ignore]

    return int(interpreters.get_current().id)
