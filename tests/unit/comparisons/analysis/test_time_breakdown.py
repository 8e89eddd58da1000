"""Where the time goes, from phases and intervals."""

from itertools import pairwise

import pytest

from batchpool.comparisons.analysis.time_breakdown import (
    PhaseTimes,
    TaskTime,
    most_in_flight,
    split_task_time,
    time_breakdown,
)
from batchpool.ledger.values.comparison_entries import BaselineTime


def _run(start_s: float, wall_s: float, cpu_s: float, alone: tuple[float, float]) -> TaskTime:
    return split_task_time(start_s, wall_s, cpu_s, BaselineTime(*alone))


PHASES = PhaseTimes(lag_s=0.0, begin_s=0.01, ready_s=0.03, end_s=1.06)


def test_sleeping_threads_wait_without_contention() -> None:
    tasks = [_run(0.03 + 0.001 * n, 1.0, 0.0, (1.0, 0.0)) for n in range(4)]
    parts = time_breakdown(1.06, PHASES, 4, "thread-pool", tasks)
    assert parts.contention == pytest.approx(0, abs=1e-9)
    assert parts.waiting == pytest.approx(1.0)
    assert parts.load == pytest.approx(0.01)
    assert parts.startup == pytest.approx(0.02)
    assert parts.dispatch == pytest.approx(0.0015, abs=1e-6)
    assert parts.close == pytest.approx(0.027)
    assert parts.unaccounted == pytest.approx(0.0, abs=1e-9)


def test_computing_threads_under_a_gil_have_contention_for_all_but_their_share() -> None:
    tasks = [_run(0.03, 1.0, 0.25, (0.25, 0.25)) for _ in range(4)]
    parts = time_breakdown(1.06, PHASES, 4, "threading", tasks)
    assert parts.cpu == pytest.approx(0.25)
    assert parts.contention == pytest.approx(0.75)
    assert parts.waiting == pytest.approx(0.0)


def test_a_task_waits_no_longer_than_it_was_off_the_cpu() -> None:
    # Another program delayed the baseline run by 0.1 s, and not this one.
    task = _run(0.0, 0.5, 0.5, (0.6, 0.5))
    assert (task.waiting_s, task.contention_s) == (0.0, 0.0)


def test_slots_that_start_processes_while_items_wait_count_as_startup() -> None:
    tasks = [_run(0.05 + 0.12 * n, 0.1, 0.1, (0.1, 0.1)) for n in range(4)]
    started = time_breakdown(0.53, PhaseTimes(0, 0.01, 0.03, 0.52), 1, "multiprocessing", tasks)
    pooled = time_breakdown(0.53, PhaseTimes(0, 0.01, 0.03, 0.52), 1, "process-pool", tasks)
    assert started.startup == pytest.approx(0.02 + 0.02 + 3 * 0.02)
    assert started.dispatch == 0.0
    assert pooled.dispatch == pytest.approx(0.08)
    assert started.unaccounted == pooled.unaccounted == pytest.approx(0.01)


def test_slots_with_nothing_left_to_take_are_idle() -> None:
    tasks = [_run(0.0, wall_s, wall_s, (wall_s, wall_s)) for wall_s in (1.0, 0.2)]
    parts = time_breakdown(1.0, PhaseTimes(0, 0, 0, 1.0), 2, "thread-pool", tasks)
    assert parts.idle == pytest.approx(0.4)
    assert parts.cpu == pytest.approx(0.6)
    assert parts.unaccounted == pytest.approx(0.0)


def test_time_that_no_part_explains_is_reported() -> None:
    tasks = [_run(0.03, 1.0, 0.0, (1.0, 0.0))]
    parts = time_breakdown(1.5, PHASES, 1, "sequential", tasks)
    assert parts.unaccounted == pytest.approx(0.44)
    assert sum(vars(parts).values()) == pytest.approx(1.5)


def test_more_tasks_than_slots_show_as_a_negative_remainder() -> None:
    tasks = [_run(0.0, 1.0, 0.5, (1.0, 0.5)) for _ in range(2)]
    assert time_breakdown(1.0, PhaseTimes(0, 0, 0, 1.0), 1, "threading", tasks).unaccounted == -1.0


def test_without_a_baseline_run_waiting_and_contention_are_unknown() -> None:
    parts = time_breakdown(1.06, PHASES, 1, "sequential", [split_task_time(0.03, 1.0, 0.5, None)])
    assert parts.waiting is parts.contention is parts.unaccounted is None
    assert parts.cpu == 0.5


def test_a_slot_that_continues_at_once_is_one_slot() -> None:
    tasks = [TaskTime(n * 0.125, 0.125, 0, None, None) for n in range(0, 40, 2)]
    follow = [task._replace(start_s=task.end_s) for task in tasks]
    assert most_in_flight([*tasks, *follow]) == 1
    assert most_in_flight([*tasks, *tasks]) == 2
    assert most_in_flight([]) == 0


def test_a_chain_of_odd_times_is_one_slot() -> None:
    # Starts and wall times are whole nanoseconds; their sums as floats are not.
    starts_ns = [7 * 30_000_333 * n + n * n for n in range(1000)]
    chain = [
        TaskTime(0.1 + start / 1e9, (end - start) / 1e9, 0, None, None)
        for start, end in pairwise(starts_ns)
    ]
    assert any(a.end_s > b.start_s for a, b in pairwise(chain))
    assert most_in_flight(chain) == 1
