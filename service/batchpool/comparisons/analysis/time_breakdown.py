"""Break the wall time of a batch down into its parts, in seconds.

What happens in the slots of a batch is summed over them and divided by their number, so that all
parts of a batch add up to its wall time; the rest is reported as `unaccounted`.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import NamedTuple

from batchpool.ledger.values.comparison_entries import BaselineTime, TaskMedians, TimeParts

STARTS_PER_TASK = frozenset({"threading", "multiprocessing"})
"""Backends that start a thread or process per task: a slot between two tasks is starting one."""


@dataclass(frozen=True)
class PhaseTimes:
    """The moments of one batch, in seconds since its claim, and what came before that.

    `lag_s`: from the first claim of the job to the claim of this batch.
    """

    lag_s: float
    begin_s: float
    ready_s: float
    end_s: float


_HALF_NS = 5e-10


class TaskTime(NamedTuple):
    """The time of one task and its parts; waiting and contention are None without a baseline."""

    start_s: float
    wall_s: float
    cpu_s: float
    waiting_s: float | None
    contention_s: float | None

    @property
    def end_s(self) -> float:
        return self.start_s + self.wall_s


@dataclass(frozen=True)
class Idle:
    """Slot-seconds without a task: while items waited, and after the last one was taken."""

    before_s: float
    after_s: float


def split_task_time(
    start_s: float, wall_s: float, cpu_s: float, alone: BaselineTime | None
) -> TaskTime:
    """Split the time of a task into computing, waiting and contention.

    Waiting is what the same task waits when it runs alone, at most its time off the CPU here; the
    rest of that time is contention: for a lock, the GIL, or a CPU that other tasks use.
    """
    off_cpu_s = max(0.0, wall_s - cpu_s)
    if alone is None:
        return TaskTime(start_s, wall_s, cpu_s, None, None)
    waits_alone_s = max(0.0, alone.wall - alone.cpu)
    waiting_s = min(off_cpu_s, waits_alone_s)
    return TaskTime(start_s, wall_s, cpu_s, waiting_s, max(0.0, off_cpu_s - waits_alone_s))


def time_breakdown(
    wall_s: float, phases: PhaseTimes, slots: int, backend: str, tasks: Sequence[TaskTime]
) -> TimeParts:
    """The parts of a run whose slowest batch has these tasks.

    Args:
        wall_s: of the run, which ends with that batch.
        slots: how many tasks the batch could have in flight.
    """
    last_s = max((task.end_s for task in tasks), default=phases.ready_s)
    idle = idle_slots(tasks, slots, phases.ready_s, last_s)
    is_starting = backend in STARTS_PER_TASK
    before_s, after_s = idle.before_s / slots, idle.after_s / slots
    startup_s = phases.ready_s - phases.begin_s
    load_s = phases.lag_s + phases.begin_s
    startup_s = startup_s + before_s if is_starting else startup_s
    dispatch_s = 0.0 if is_starting else before_s
    cpu_s = sum(task.cpu_s for task in tasks) / slots
    waiting_s = _per_slot((task.waiting_s for task in tasks), slots)
    contention_s = _per_slot((task.contention_s for task in tasks), slots)
    close_s = max(0.0, phases.end_s - last_s)
    known_s = total(
        (load_s, startup_s, dispatch_s, cpu_s, waiting_s, contention_s, after_s, close_s)
    )
    return TimeParts(
        load=load_s,
        startup=startup_s,
        dispatch=dispatch_s,
        cpu=cpu_s,
        waiting=waiting_s,
        contention=contention_s,
        idle=after_s,
        close=close_s,
        unaccounted=None if known_s is None else wall_s - known_s,
    )


def idle_slots(tasks: Sequence[TaskTime], slots: int, from_s: float, to_s: float) -> Idle:
    """For how long slots had no task between two moments."""
    last_start_s = max((task.start_s for task in tasks), default=from_s)
    before_s = after_s = 0.0
    cuts = ((from_s, 0), (last_start_s, 0), (to_s, 0))
    for start_s, end_s, in_flight in _spans(tasks, cuts):
        span_s = max(0.0, min(end_s, to_s) - max(start_s, from_s))
        free_s = max(0, slots - in_flight) * span_s
        if start_s < last_start_s:
            before_s += free_s
        else:
            after_s += free_s
    return Idle(before_s, after_s)


def most_in_flight(tasks: Iterable[TaskTime]) -> int:
    """The most tasks that were in flight at once."""
    return max((in_flight for _, _, in_flight in _spans(list(tasks), ())), default=0)


def medians(tasks: Sequence[TaskTime]) -> TaskMedians:
    """The median over tasks of each kind of time."""
    return TaskMedians(
        wall=_median(task.wall_s for task in tasks),
        cpu=_median(task.cpu_s for task in tasks),
        waiting=_median(task.waiting_s for task in tasks),
        contention=_median(task.contention_s for task in tasks),
    )


def _spans(
    tasks: Sequence[TaskTime], cuts: Sequence[tuple[float, int]]
) -> Iterator[tuple[float, float, int]]:
    """Spans of time in which the number of tasks in flight does not change, with that number."""
    steps = [*cuts, *((task.start_s, 1) for task in tasks), *((task.end_s, -1) for task in tasks)]
    # A slot that continues at once is one slot, not two: at one moment ends come before starts, and
    # an end that was added up as a float may be a little late.
    steps.sort(key=lambda step: step[0] + _HALF_NS * step[1])
    in_flight = 0
    for (start_s, step), (end_s, _) in pairwise(steps):
        in_flight += step
        yield start_s, end_s, in_flight


def total(numbers: Iterable[float | None]) -> float | None:
    """The sum; None if a number is unknown."""
    known = list(numbers)
    return None if None in known else sum(number for number in known if number is not None)


def _per_slot(numbers: Iterable[float | None], slots: int) -> float | None:
    added = total(numbers)
    return None if added is None else added / slots


def _median(numbers: Iterable[float | None]) -> float | None:
    known = list(numbers)
    if not known or None in known:
        return None
    return median(number for number in known if number is not None)
