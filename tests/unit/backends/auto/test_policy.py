"""When `auto` measures, how it chooses, and when it chooses again."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import pytest

from batchpool.backends.auto.cost_model import BackendChoice, Constraints
from batchpool.backends.auto.policy import AutoPolicy
from batchpool.backends.auto.profile_cache import CachedProfile
from batchpool.backends.auto.task_profile import TaskProfile
from batchpool.backends.auto.timings import Timings
from batchpool.model import ExecutionSite, Outcome

HERE = Constraints(left=1000, cpus=2, most=16, pool_startup_s=0.4, warm_children=8)
WAITS = TaskProfile(tasks=9, task_wall_s=0.01, task_cpu_s=1e-5, busy_alone=0.0)
COMPUTES = TaskProfile(tasks=9, task_wall_s=0.05, task_cpu_s=0.05, busy_alone=1.0, gil_held=1.0)
UNFINISHED = replace(COMPUTES, tasks=0)
SITE = ExecutionSite(1, 0, 1, "MainThread", 0)


def timings(wall_s: float, cpu_s: float, count: int = 50) -> Timings:
    """Those of tasks of which each took so long."""
    return timings_of([(wall_s, cpu_s)] * count)


def timings_of(tasks: Sequence[tuple[float, float]]) -> Timings:
    """Those of tasks of these wall and CPU times, in seconds."""
    found = Timings()
    for index, (wall_s, cpu_s) in enumerate(tasks):
        times = int(wall_s * 1e9), int(cpu_s * 1e9)
        found.add([Outcome(index, "succeeded", index, None, SITE, 0, *times)])
    return found


def policy(cached: TaskProfile | None = None) -> AutoPolicy:
    return AutoPolicy(2, 16, None if cached is None else CachedProfile(cached))


def is_still_right(chosen: AutoPolicy, seen: Timings, left: int = 500) -> bool:
    return chosen.is_still_right(seen, left, lambda: HERE)


def test_an_unknown_task_is_measured_first_and_a_cached_one_is_not() -> None:
    assert policy().next(HERE) is None
    choice = policy(COMPUTES).next(HERE)
    assert choice is not None and choice.backend == "process-pool"


def test_where_there_is_one_choice_nothing_is_measured() -> None:
    chosen = policy()
    choice = chosen.next(replace(HERE, left=1))
    assert choice is not None and choice.backend == "sequential"
    assert chosen.facts() == {"remembered": False, "probes": 0}


def test_what_a_probe_saw_is_enough_once_though_it_is_incomplete() -> None:
    chosen = policy()
    chosen.learn(UNFINISHED)
    assert chosen.next(HERE) is not None
    assert chosen.next(HERE) is None
    assert chosen.facts()["probes"] == 1


def test_tasks_that_take_what_was_expected_change_nothing() -> None:
    chosen = policy(COMPUTES)
    chosen.next(HERE)
    assert is_still_right(chosen, timings(0.05, 0.05))
    assert is_still_right(chosen, timings(0.09, 0.09))
    assert chosen.profile == COMPUTES


def test_tasks_that_compute_more_than_twice_as_long_are_measured_again() -> None:
    chosen = policy(COMPUTES)
    chosen.next(HERE)
    assert not is_still_right(chosen, timings(0.2, 0.2))
    assert chosen.profile is None
    assert chosen.next(HERE) is None


def test_near_the_end_no_other_choice_is_made() -> None:
    chosen = policy(COMPUTES)
    choice = chosen.next(HERE)
    assert choice is not None
    assert is_still_right(chosen, timings(0.2, 0.2), left=2 * choice.concurrency - 1)


def test_after_four_probes_the_choice_stays() -> None:
    chosen = policy()
    for _ in range(4):
        chosen.learn(COMPUTES)
    chosen.next(HERE)
    assert is_still_right(chosen, timings(0.2, 0.2))


def test_a_choice_that_is_kept_stays() -> None:
    chosen = policy(COMPUTES)
    chosen.next(HERE)
    chosen.keep()
    assert is_still_right(chosen, timings(0.2, 0.2))


def test_whole_tasks_that_show_another_kind_of_task_end_the_choice() -> None:
    chosen = policy()
    chosen.learn(UNFINISHED)
    chosen.next(HERE)
    assert not is_still_right(chosen, timings(2.0, 0.001))
    assert chosen.profile is not None and chosen.profile.waits and chosen.profile.tasks


def test_the_result_has_the_times_of_the_choice_and_only_a_complete_profile_is_kept() -> None:
    chosen = policy(WAITS)
    choice = chosen.next(HERE)
    assert choice is not None
    kept = chosen.result(timings(0.02, 1e-5))
    assert kept is not None and kept.profile == replace(WAITS, tasks=50)
    assert kept.walls_s == {(choice.backend, choice.concurrency): 0.02}
    assert policy().result(timings(0.02, 0.0)) is None


def test_more_slots_are_noted_and_another_wall_time_is_no_surprise_then() -> None:
    chosen = policy(COMPUTES)
    chosen.next(HERE)
    chosen.widen(8, 0.9)
    assert (chosen.choice.backend, chosen.choice.concurrency) == ("process-pool", 8)
    assert chosen.choice.why.endswith("then only 0.9 CPUs were used: 8 in flight")
    assert is_still_right(chosen, timings(0.2, 0.05))


def test_one_slot_that_is_made_several_is_a_pool_of_threads() -> None:
    chosen = policy(replace(COMPUTES, task_wall_s=1e-4, task_cpu_s=1e-4))
    chosen.next(replace(HERE, left=10, warm_children=0))
    assert chosen.choice.backend == "sequential"
    chosen.widen(2, 0.1)
    chosen.widen(4, 0.2)
    assert (chosen.choice.backend, chosen.choice.concurrency) == ("thread-pool", 4)
    assert chosen.choice.why.count("in flight") == 1


ALTERNATING = [(0.02, 0.0), (0.01, 0.01)] * 32
SELDOM = [(1.0, 0.0), *[(0.001, 0.001)] * 49]
HEAVY = [(0.005 * number**2, 0.0) for number in range(1, 20)]


@pytest.mark.parametrize(
    ("tasks", "is_uneven"),
    [(ALTERNATING, True), (SELDOM, True), (HEAVY, True), ([(0.02, 0.0)] * 50, False)],
)
def test_tasks_that_differ_are_uneven(
    tasks: Sequence[tuple[float, float]], is_uneven: bool
) -> None:
    assert timings_of(tasks).is_uneven is is_uneven


@pytest.mark.parametrize("tasks", [ALTERNATING, SELDOM, HEAVY])
def test_a_pool_stays_where_tasks_wait_that_were_thought_to_compute(
    tasks: Sequence[tuple[float, float]],
) -> None:
    chosen = policy()
    chosen.learn(COMPUTES)
    chosen.next(HERE)
    chosen.widen(8, 0.9)
    assert is_still_right(chosen, timings_of(tasks))
    assert chosen.choice.backend == "process-pool" and chosen.profile is not None


def test_threads_whose_tasks_begin_to_compute_give_way_to_a_pool() -> None:
    chosen = policy()
    chosen.learn(WAITS)
    choice = chosen.next(HERE)
    assert choice is not None and choice.backend == "thread-pool"
    assert is_still_right(chosen, timings(0.012, 1e-4))
    # 16 threads of which each waits for the GIL.
    assert not is_still_right(chosen, timings(0.16, 0.01))
    after = chosen.next(HERE)
    assert after is not None and after.backend == "process-pool"
    assert chosen.facts()["probes"] == 1


def test_a_cached_profile_of_uneven_tasks_is_no_reason_to_measure_again() -> None:
    chosen = policy(replace(COMPUTES, is_uneven=True))
    choice = chosen.next(HERE)
    assert choice is not None and (choice.backend, choice.concurrency) == ("process-pool", 8)
    assert choice.why.endswith("tasks differ, so all 8 warm processes are used")
    assert is_still_right(chosen, timings_of(SELDOM))
    assert chosen.profile is not None


def test_tasks_that_differ_are_kept_as_such() -> None:
    chosen = policy(COMPUTES)
    chosen.next(HERE)
    kept = chosen.result(timings_of(SELDOM))
    assert kept is not None and kept.profile.is_uneven


def test_another_way_that_saves_less_than_a_change_costs_is_no_reason_to_change() -> None:
    uneven = replace(COMPUTES, task_wall_s=0.002, task_cpu_s=0.002, is_uneven=True)
    tiny = timings(2e-5, 2e-5)
    for left, is_right in [(500, True), (50_000, False)]:
        chosen, here = policy(uneven), replace(HERE, left=left)
        chosen.next(here)
        assert chosen.is_still_right(tiny, left, partial(replace, here)) is is_right


def test_threads_that_keep_fewer_cpus_busy_than_they_did_give_way_to_a_pool() -> None:
    chosen = policy(replace(COMPUTES, gil_held=0.5, busy=1.98, threads=2))
    choice = chosen.next(HERE)
    assert choice is not None and (choice.backend, choice.concurrency) == ("thread-pool", 2)
    assert is_still_right(chosen, timings(0.055, 0.05))
    # Two threads of which one waits for the GIL for half of its time.
    assert not is_still_right(chosen, timings(0.075, 0.05))
    after = chosen.next(HERE)
    assert after is not None and after.backend == "process-pool"


def test_a_choice_made_elsewhere_is_the_one_that_is_checked() -> None:
    chosen = policy(COMPUTES)
    chosen.next(HERE)
    chosen.adopt(BackendChoice("sequential", 1, 0.0, "the pool did not start"))
    assert chosen.choice.backend == "sequential"
    assert not is_still_right(chosen, timings(0.2, 0.2))
