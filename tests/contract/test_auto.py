"""`auto` chooses by what it sees of the first items, and runs each item once, come what may."""

import os
import sys
import threading
from collections import Counter
from collections.abc import Callable
from itertools import accumulate
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest

from batchpool.backends.auto.auto import Auto
from batchpool.backends.auto.cost_model import BackendChoice, Constraints
from batchpool.backends.auto.policy import AutoPolicy
from batchpool.backends.auto.profile_cache import CachedProfile, ProfileCache, profile_key
from batchpool.backends.auto.task_profile import TaskProfile
from batchpool.backends.context import RunnerContext
from batchpool.backends.item_source import ItemSource
from batchpool.children.start_methods import stop_helpers
from batchpool.execution.in_flight import read_in_flight
from batchpool.model import BatchSpec, Outcome, RunSpec
from batchpool.runner.run_batch import make_batch, pending_of, run_batch
from batchpool.system.interpreter import gil_enabled
from batchpool.tasks import TaskSources, load_tasks

pytestmark = pytest.mark.usefixtures("fork_server")

TINY = TaskProfile(tasks=9, task_wall_s=1e-6, task_cpu_s=1e-6, busy_alone=1.0, busy=1.0, threads=2)


def run_auto(context: RunnerContext, task: str, items: Any, **options: Any) -> Any:
    sink = options.pop("sink", None)
    first, done = options.pop("first", 0), options.pop("done", frozenset())
    run = RunSpec(task, backend="auto", concurrency=options.pop("concurrency", 8), **options)
    spec = BatchSpec(run, items, first=first, done=done)
    return run_batch(spec, sink=sink, context=context)


class Scripted(AutoPolicy):
    """A policy that makes these choices one after the other, and keeps to the last one.

    Args:
        is_wrong: whether the choice before the last one is to be given up now.
    """

    def __init__(
        self, *choices: BackendChoice, is_wrong: Callable[[], bool] = lambda: False
    ) -> None:
        super().__init__(cpus=2, most=8, cached=None)
        self._left = list(choices)
        self.scripted = self.choice
        self._is_wrong = is_wrong

    def next(self, constraints: Constraints) -> BackendChoice:
        del constraints
        self.scripted = self._left.pop(0)
        self.adopt(self.scripted)
        return self.choice

    def is_still_right(self, *asked: object) -> bool:
        return not self._left or not self._is_wrong()

    def keep(self) -> None:
        self._left.clear()


def run_scripted(
    context: RunnerContext, policy: AutoPolicy, task: str, items: Any, **options: Any
) -> tuple[Auto, list[Outcome]]:
    """What `run_batch` does, with this policy."""
    seen: list[Outcome] = options.pop("seen", [])
    first, done = options.pop("first", 0), options.pop("done", frozenset())
    run = RunSpec(task, backend="auto", concurrency=options.pop("concurrency", 8), **options)
    spec = BatchSpec(run, items, first, done)
    indices = pending_of(spec)
    batch = make_batch(spec, context, seen.extend, len(indices))
    with Auto(batch, policy, check_every_s=0.001) as backend:
        backend.run(ItemSource(indices, batch.outcomes, batch.stop_flag, is_shared=True))
    context.check_leaks(None)
    return backend, seen


def warm_pool(context: RunnerContext, children: int) -> None:
    """Have the context keep a pool, in which a batch can begin at once."""
    run = RunSpec("echo", backend="process-pool", concurrency=children)
    run_batch(BatchSpec(run, range(2 * children)), context=context)


def remember(
    context: RunnerContext, task: str, items: Any, profile: TaskProfile, **params: Any
) -> None:
    """Have the context know this of such a batch, as if it had run one before."""
    key = profile_key(task, context.registry.version, params, items[0])
    context.kept(ProfileCache).keep(key, CachedProfile(profile))


COUNT = 12_000
"""Items that last for many looks of the watch, on a fast machine too."""
WAYS = [
    BackendChoice("sequential", 1, 0.0, "so it is"),
    BackendChoice("thread-pool", 4, 0.0, "so it is"),
    BackendChoice("process-pool", 2, 0.0, "so it is", chunksize=3),
    BackendChoice("asyncio", 5, 0.0, "so it is"),
]


@pytest.mark.parametrize("choice", WAYS, ids=lambda choice: choice.backend)
def test_whatever_is_chosen_each_item_runs_once_and_the_report_says_so(
    context: RunnerContext, folder: str, choice: BackendChoice
) -> None:
    done = frozenset(range(1000, 1060, 3))
    params = {"folder": folder}
    policy = Scripted(choice)
    backend, outcomes = run_scripted(
        context, policy, "log", range(60), params=params, first=1000, done=done
    )
    left = sorted(set(range(1000, 1060)) - done)
    assert sorted(outcome.index for outcome in outcomes) == left
    runs = (Path(folder) / "runs").read_text().split()
    assert sorted(map(int, runs)) == [index - 1000 for index in left]
    chosen = backend.chosen
    assert chosen is not None
    if not policy.is_widened:
        # Writing to a file may leave a CPU idle for long enough.
        assert (chosen["backend"], chosen["concurrency"]) == (choice.backend, choice.concurrency)
        assert chosen["why"] == "so it is"
    assert backend.start_method == ("forkserver" if choice.backend == "process-pool" else None)
    assert context.must_restart_because is None


@pytest.mark.parametrize("before", WAYS, ids=lambda choice: choice.backend)
@pytest.mark.parametrize("after", WAYS, ids=lambda choice: choice.backend)
def test_another_choice_loses_no_item_and_runs_none_twice(
    context: RunnerContext, folder: str, before: BackendChoice, after: BackendChoice
) -> None:
    if before.backend == "process-pool":
        # Else one thread has run all of them before the pool is there.
        warm_pool(context, 2)
    seen: list[Outcome] = []
    policy = Scripted(before, after, is_wrong=lambda: len(seen) >= 40)
    backend, _ = run_scripted(
        context, policy, "log", range(COUNT), params={"folder": folder}, seen=seen
    )
    assert policy.scripted is after
    assert backend.pool is None or after.backend == "process-pool"
    assert sorted(outcome.index for outcome in seen) == list(range(COUNT))
    runs = (Path(folder) / "runs").read_text().split()
    assert Counter(runs).most_common(1)[0][1] == 1
    assert len(runs) == COUNT


@pytest.mark.parametrize("before", [WAYS[2], WAYS[3]], ids=["process-pool", "asyncio"])
def test_a_slow_item_does_not_hold_up_the_others_while_another_choice_waits_for_it(
    context: RunnerContext, before: BackendChoice
) -> None:
    warm_pool(context, 2)
    seen: list[Outcome] = []
    items = [0.1, 3.0, *[0.005] * 200]
    policy = Scripted(before, WAYS[1], is_wrong=lambda: len(seen) >= 20)
    run_scripted(context, policy, "nap", items, seen=seen)
    assert sorted(outcome.index for outcome in seen) == list(range(len(items)))
    assert max(seen, key=lambda outcome: outcome.started_ns + outcome.wall_ns).index == 1


def test_it_chooses_without_waiting_for_the_gil(
    context: RunnerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside tasks that compute each of many requests for the GIL would take 5 ms per thread."""
    warm_pool(context, 4)
    before, intervals, asked = sys.getswitchinterval(), [], []

    class Watched(AutoPolicy):
        def next(self, constraints: Constraints) -> BackendChoice | None:
            intervals.append(sys.getswitchinterval())
            return super().next(constraints)

    warm_children = context.pools.warm_children

    def count(method: str | None) -> int:
        asked.append(method)
        return warm_children(method)

    monkeypatch.setattr(context.pools, "warm_children", count)
    policy = Watched(cpus=2, most=8, cached=None)
    _, outcomes = run_scripted(context, policy, "cpu", range(40), params={"iterations": 100_000})
    assert len(outcomes) == 40
    assert len(intervals) >= 2 and max(intervals) < 0.001
    assert sys.getswitchinterval() == before
    # Each child is asked whether it lives, which gives up the GIL.
    assert len(asked) == 1


@pytest.mark.alone
def test_the_first_items_are_looked_at_and_remembered_for_the_next_batch(
    context: RunnerContext,
) -> None:
    params = {"iterations": 20_000}
    first = run_auto(context, "cpu", range(200), params=params).report.chosen
    measured = first["measured"]
    assert not measured["remembered"]
    assert measured["probes"] >= 1
    assert measured["tasks"] > 0
    assert measured["task_wall_s"] > 0
    assert measured["pickle_s"] > 0
    assert first["why"]
    again = run_auto(context, "cpu", range(200), params=params).report.chosen["measured"]
    assert again["remembered"] or again["probes"]
    other = run_auto(context, "cpu", range(200), params={"iterations": 20_001}).report.chosen
    assert not other["measured"]["remembered"]


@pytest.mark.alone
def test_what_waits_gets_more_lanes_than_cpus(context: RunnerContext) -> None:
    report = run_auto(context, "sleep", range(64), params={"seconds": 0.05}, concurrency=32).report
    assert report.chosen["backend"] in ("asyncio", "thread-pool")
    assert report.effective_concurrency == 32


@pytest.mark.alone
def test_tasks_that_take_far_longer_than_cached_are_measured_again(
    context: RunnerContext,
) -> None:
    remember(context, "cpu", range(120), TINY, iterations=300_000)
    report = run_auto(context, "cpu", range(120), params={"iterations": 300_000}).report
    assert report.chosen["measured"]["probes"] >= 1
    assert not report.chosen["measured"]["remembered"]
    assert report.chosen["measured"]["task_cpu_s"] > 0.0005


def test_one_item_is_run_and_not_measured(context: RunnerContext) -> None:
    chosen = run_auto(context, "echo", ["x"]).report.chosen
    assert (chosen["backend"], chosen["concurrency"]) == ("sequential", 1)
    assert chosen["measured"]["probes"] == 0


def test_no_more_in_flight_than_was_allowed(context: RunnerContext, folder: str) -> None:
    """One task at a time, over probe, pool and loop alike."""
    result = run_auto(context, "crowd", range(10), params={"folder": folder}, concurrency=1)
    assert result.report.effective_concurrency == 1
    assert (Path(folder) / "in-flight").read_bytes()[8:9] == b"\x01"


def test_a_child_that_dies_costs_at_most_its_item(context: RunnerContext, folder: str) -> None:
    warm_pool(context, 2)
    items: list[Any] = ["slow", *range(30), "kill child", *range(30, 60)]
    policy = Scripted(BackendChoice("process-pool", 2, 0.0, "so it is"))
    # No more in flight than children, so that no thread of this process takes that item.
    how = {"concurrency": 2, "params": {"folder": folder}}
    _, outcomes = run_scripted(context, policy, "die", items, **how)
    states = {outcome.index: outcome.state for outcome in outcomes}
    assert len(outcomes) == 62
    assert states.pop(31) == "crashed"
    assert set(states.values()) == {"succeeded"}


@pytest.mark.parametrize("choice", [WAYS[0], WAYS[2]], ids=["one thread", "two children"])
def test_idle_cpus_get_more_tasks_and_what_waits_behind_slow_ones_is_taken_back(
    context: RunnerContext, choice: BackendChoice
) -> None:
    warm_pool(context, 4)
    items = [*[0.2] * 12, *[0.0] * 40]
    backend, outcomes = run_scripted(context, Scripted(choice), "nap", items)
    assert sorted(outcome.index for outcome in outcomes) == list(range(len(items)))
    slow = [outcome for outcome in outcomes if items[outcome.index]]
    # Else two children, and this process.
    assert len({outcome.site for outcome in slow}) >= 4
    begins = [(outcome.started_ns, 1) for outcome in slow]
    ends = [(outcome.started_ns + outcome.wall_ns, -1) for outcome in slow]
    in_flight = [step for _, step in sorted(begins + ends)]
    assert max(accumulate(in_flight)) <= 8
    assert backend.chosen is not None and backend.chosen["concurrency"] > choice.concurrency
    assert "CPUs were used" in backend.chosen["why"]


CHILDREN_DIE = """
import os, sys, time
from batchpool.tasks import task

if "batchpool.children.preload" in sys.modules:
    os.register_at_fork(after_in_child=lambda: os._exit(1))

@task("nap")
def nap(item):
    time.sleep(item)
    return item
"""


def test_what_a_pool_that_does_not_start_was_to_run_is_run_here(tmp_path: Path) -> None:
    """Each child of the fork server dies as it starts."""
    # The one that runs knows other tasks.
    stop_helpers(tracker_too=False)
    (tmp_path / "dying.py").write_text(CHILDREN_DIE)
    registry = load_tasks(TaskSources(tasks_dir=str(tmp_path)))
    with RunnerContext(registry, owns_process=True) as context:
        policy = Scripted(BackendChoice("process-pool", 2, 0.0, "so it is"))
        backend, outcomes = run_scripted(context, policy, "nap", [0.02] * 8)
    assert sorted(outcome.index for outcome in outcomes) == list(range(8))
    assert {outcome.site.pid for outcome in outcomes} == {os.getpid()}
    assert backend.chosen is not None and backend.chosen["backend"] == "sequential"
    assert "died while it started" in backend.chosen["why"]


@pytest.mark.alone
def test_what_begins_by_waiting_is_begun_in_a_warm_pool(context: RunnerContext) -> None:
    warm_pool(context, 4)
    result = run_auto(context, "nap", [0.15] * 5, concurrency=5)
    assert len(result.outcomes) == 5
    pids = {outcome.site.pid for outcome in result.outcomes}
    assert os.getpid() in pids and len(pids) == 5, result.report.chosen
    assert "should it compute yet" in result.report.chosen["why"]


@pytest.mark.alone
def test_a_task_that_keeps_the_gil_gets_no_second_thread_here(context: RunnerContext) -> None:
    if not gil_enabled():
        pytest.skip("this Python has no GIL")
    warm_pool(context, 2)
    # What is measured on a machine that others use may be off once, but not each time.
    seen = [_count_here(context, iterations) for iterations in (2_000_000, 2_000_001, 2_000_002)]
    assert ("process-pool", None, 1) in seen, seen


def _count_here(context: RunnerContext, iterations: int) -> tuple[str, float | None, int]:
    """The backend chosen, what threads kept busy, and how many items this process ran."""
    result = run_auto(context, "cpu", range(6), params={"iterations": iterations})
    chosen = result.report.chosen
    here = sum(outcome.site.pid == os.getpid() for outcome in result.outcomes)
    return chosen["backend"], chosen["measured"]["busy"], here


def test_what_runs_during_a_probe_can_be_read_by_the_supervisor(context: RunnerContext) -> None:
    shown: set[int] = set()

    def sink(outcomes: list[Outcome]) -> None:
        del outcomes
        shown.update(index for index, _ in read_in_flight(context.folder))

    run_auto(context, "nap", [0.05, *[0.3] * 5], sink=sink, concurrency=2)
    assert shown
    assert read_in_flight(context.folder) == []


def test_a_drain_during_the_probe_ends_it(context: RunnerContext) -> None:
    def drain_once_one_runs() -> None:
        end = monotonic() + 20
        while not read_in_flight(context.folder) and monotonic() < end:
            sleep(0.005)
        context.drain()

    drainer = threading.Thread(target=drain_once_one_runs)
    drainer.start()
    result = run_auto(context, "nap", [0.3] * 50, concurrency=2)
    drainer.join()
    assert result.report.drained
    assert 1 <= len(result.outcomes) <= 2
