"""What `auto` makes of what it has measured."""

from dataclasses import replace

import pytest

from batchpool.backends.auto.cost_model import (
    BackendChoice,
    Constraints,
    choose,
    choose_without_probe,
)
from batchpool.backends.auto.task_profile import TaskProfile

HERE = Constraints(left=1000, cpus=2, most=256, pool_startup_s=0.4, warm_children=8)
COLD = replace(HERE, warm_children=0)

WAITS = TaskProfile(tasks=9, task_wall_s=0.01, task_cpu_s=1e-5, busy_alone=0.0)
COMPUTES = TaskProfile(tasks=9, task_wall_s=0.05, task_cpu_s=0.05, busy_alone=1.0, gil_held=1.0)
RELEASES = replace(COMPUTES, gil_held=0.0, busy=1.98, threads=2)
MIXED = TaskProfile(
    tasks=9, task_wall_s=0.1, task_cpu_s=0.05, busy_alone=0.5, busy=1.0, threads=4, gil_held=0.5
)
BEGAN_WAITING = TaskProfile(tasks=0, task_wall_s=0.02, task_cpu_s=0.0, busy_alone=0.0)


def way(choice: BackendChoice) -> tuple[str, int]:
    return choice.backend, choice.concurrency


@pytest.mark.parametrize(
    ("measured", "situation", "expected"),
    [
        (WAITS, HERE, ("thread-pool", 256)),
        (WAITS, replace(HERE, has_async=True), ("asyncio", 256)),
        (COMPUTES, HERE, ("process-pool", 2)),
        (COMPUTES, COLD, ("process-pool", 2)),
        (COMPUTES, replace(COLD, left=4), ("sequential", 1)),
        (RELEASES, HERE, ("thread-pool", 2)),
        (MIXED, HERE, ("process-pool", 8)),
        (replace(COMPUTES, task_wall_s=2e-6, task_cpu_s=2e-6), HERE, ("sequential", 1)),
    ],
)
def test_the_fastest_way_is_chosen(
    measured: TaskProfile, situation: Constraints, expected: tuple[str, int]
) -> None:
    assert way(choose(measured, situation)) == expected


def test_who_holds_the_gil_gets_no_threads_though_none_were_tried() -> None:
    assert COMPUTES.is_complete and COMPUTES.busy is None
    assert COMPUTES.scaling == 1.0
    assert "keeps the GIL from others for 100% of its CPU time" in choose(COMPUTES, HERE).why


def test_a_task_that_lets_go_of_the_gil_is_looked_at_with_a_second_thread() -> None:
    assert not replace(COMPUTES, gil_held=0.5).is_complete
    assert RELEASES.is_complete and RELEASES.scaling == pytest.approx(1.98)


def test_what_began_by_waiting_is_begun_where_it_may_compute_yet() -> None:
    assert way(choose(BEGAN_WAITING, HERE)) == ("process-pool", 8)
    assert way(choose(BEGAN_WAITING, replace(HERE, left=3))) == ("process-pool", 3)
    assert way(choose(BEGAN_WAITING, replace(HERE, most=5))) == ("process-pool", 5)


@pytest.mark.parametrize(
    "situation", [COLD, replace(HERE, only_waits=True)], ids=["no pool is warm", "it only waits"]
)
def test_else_it_is_begun_in_threads(situation: Constraints) -> None:
    assert way(choose(BEGAN_WAITING, situation)) == ("thread-pool", 256)


def test_what_waited_so_far_runs_in_a_warm_pool_that_is_as_fast() -> None:
    few = replace(HERE, most=8)
    assert way(choose(WAITS, few)) == ("process-pool", 8)
    assert way(choose(WAITS, replace(few, has_async=True))) == ("process-pool", 8)
    assert way(choose(WAITS, replace(few, warm_children=4))) == ("thread-pool", 8)
    assert way(choose(WAITS, replace(few, only_waits=True))) == ("thread-pool", 8)


@pytest.mark.parametrize(
    ("measured", "expected"),
    [
        (replace(MIXED, task_wall_s=0.02, task_cpu_s=0.005, busy_alone=0.25), ("process-pool", 8)),
        (replace(RELEASES, busy=1.6), ("process-pool", 8)),
        (RELEASES, ("process-pool", 8)),
        (COMPUTES, ("process-pool", 8)),
        (replace(COMPUTES, task_wall_s=2e-6, task_cpu_s=2e-6), ("sequential", 1)),
    ],
    ids=["wait and compute", "hold and release", "release", "compute", "no-ops"],
)
def test_tasks_that_differ_run_in_all_children_of_a_warm_pool(
    measured: TaskProfile, expected: tuple[str, int]
) -> None:
    few = replace(HERE, most=8)
    assert way(choose(replace(measured, is_uneven=True), few)) == expected
    if measured is not COMPUTES and expected[0] == "process-pool":
        cold = replace(COLD, most=8, left=10)
        assert choose(replace(measured, is_uneven=True), cold).backend == "thread-pool"


def test_while_few_tasks_are_known_all_children_of_a_warm_pool_are_used() -> None:
    known = choose(replace(COMPUTES, tasks=2), HERE)
    assert way(known) == ("process-pool", 8)
    assert known.why.endswith("later tasks may differ, so all 8 warm processes are used")
    assert way(choose(replace(COMPUTES, tasks=2), replace(HERE, warm_children=64)))[1] == 8


@pytest.mark.parametrize(
    ("busy", "threads", "cpus", "expected"),
    [(None, 1, 2, 1), (1.1, 2, 2, 1), (1.4, 2, 2, 1.4), (1.75, 2, 2, 2), (3.2, 8, 8, 3.2)],
)
def test_threads_keep_as_many_cpus_busy_as_was_measured(
    busy: float | None, threads: int, cpus: int, expected: float
) -> None:
    profile = replace(COMPUTES, busy=busy, threads=threads)
    assert profile.thread_cpus(cpus) == pytest.approx(expected)


def test_a_warm_pool_is_taken_as_it_is_where_more_children_would_not_pay() -> None:
    few = replace(HERE, warm_children=3)
    assert way(choose(MIXED, replace(few, left=8))) == ("process-pool", 3)
    assert way(choose(MIXED, replace(few, left=5000))) == ("process-pool", 8)


def test_the_beginning_of_a_task_is_not_taken_for_the_whole() -> None:
    began = TaskProfile(tasks=0, task_wall_s=0.02, task_cpu_s=0.02, busy_alone=1.0, gil_held=1.0)
    assert began.holds_gil
    whole = began.with_times(3, wall_s=1.0, cpu_s=0.02, beside=False)
    assert whole.waits and not whole.holds_gil
    assert way(choose(whole, HERE)) == ("thread-pool", 100)


@pytest.mark.parametrize(
    ("situation", "expected"),
    [
        (replace(HERE, left=1), ("sequential", 1)),
        (replace(HERE, most=1), ("sequential", 1)),
        (replace(HERE, has_sync=False, has_async=True), ("asyncio", 256)),
    ],
)
def test_where_there_is_one_way_nothing_is_measured(
    situation: Constraints, expected: tuple[str, int]
) -> None:
    choice = choose_without_probe(situation)
    assert choice is not None and way(choice) == expected
    assert choose_without_probe(HERE) is None
