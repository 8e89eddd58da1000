"""How a batch ends early, and leaves nothing behind."""

import os
import threading
from time import monotonic
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from batchpool.ledger.blocks.item_codec import ItemsBroken
from batchpool.ledger.blocks.stored_items import StoredItems
from batchpool.model import BatchSpec, Outcome, RunSpec
from batchpool.runner.run_batch import run_batch
from batchpool.system.process_tree import children_of, is_alive
from tests.support.waiting import check_time


def spec_of(way: Any, task: str, items: Any, **options: Any) -> BatchSpec:
    options.setdefault("concurrency", 3)
    run = RunSpec(
        task,
        backend=way.backend,
        start_method=way.start_method,
        pool=way.pool,
        dispatch=way.dispatch,
        **options,
    )
    return BatchSpec(run, items)


def test_a_drained_batch_takes_no_more_items(way: Any, context: Any) -> None:
    outcomes: list[Outcome] = []

    def sink(some: list[Outcome]) -> None:
        outcomes.extend(some)
        if len(outcomes) >= 5:
            context.drain()

    spec = spec_of(way, "sleep", range(300), params={"seconds": 0.01})
    result = run_batch(spec, sink=sink, context=context)
    assert result.report.drained
    assert 5 <= len(outcomes) < 100
    assert {outcome.state for outcome in outcomes} == {"succeeded"}


def test_a_batch_ends_where_its_items_cannot_be_read(way: Any, context: Any) -> None:
    """Items of large batches are read while it runs, so that one may turn out to be missing."""

    def load(block: int, part: int) -> list[float]:
        if part > 1:
            raise ItemsBroken("gone")
        return [0.0] * 4

    outcomes: list[Outcome] = []
    spec = spec_of(way, "sleep", StoredItems(load, 0, 300), params={"seconds": 0.0})
    with pytest.raises((ItemsBroken, ExceptionGroup)):
        run_batch(spec, sink=outcomes.extend, context=context)
    assert {outcome.state for outcome in outcomes} <= {"succeeded"} and len(outcomes) <= 8


@pytest.mark.ways(lambda way: not way.in_process)
def test_what_runs_is_collected_while_the_next_items_cannot_be_read(way: Any, context: Any) -> None:
    """Redis is away, and the loop that would read them is the one that takes outcomes."""
    outcomes: list[Outcome] = []
    collected: list[int] = []
    gives_up_s = monotonic() + 10

    def load(block: int, part: int) -> list[float]:
        if part and len(outcomes) < 6 and monotonic() < gives_up_s:
            raise RedisConnectionError("away")
        if part:
            collected.append(len(outcomes))
        return [0.0] * 6

    items = StoredItems(load, 0, 12, retry_after_s=0.05)
    spec = spec_of(way, "sleep", items, params={"seconds": 0.05}, concurrency=8)
    run_batch(spec, sink=outcomes.extend, context=context)
    assert sorted(outcome.index for outcome in outcomes) == list(range(12))
    assert collected[0] == 6, "the batch waited for items, not for what ran"


def test_on_error_stop_takes_no_more_items(way: Any, context: Any) -> None:
    items = [0] * 10 + [1] + [0] * 300
    result = way.run(context, "picky-zero", items, on_error="stop", params={"seconds": 0.01})
    assert result.report.failed_fast
    states = [outcome.state for outcome in result.outcomes]
    assert states.count("failed") == 1
    assert len(states) < 40


@pytest.mark.ways(lambda way: not way.in_process or way.backend == "asyncio")
def test_a_task_over_its_time_is_ended_and_its_neighbours_are_not(way: Any, context: Any) -> None:
    items = [0.01, 30, 0.02, 0.01, 30, 0.01]
    result = way.run(context, "nap", items, task_timeout_s=0.3)
    states = [outcome.state for outcome in sorted(result.outcomes)]
    assert states == [
        "succeeded", "timeout", "succeeded", "succeeded", "timeout", "succeeded"
    ]  # fmt: skip
    for outcome in result.outcomes:
        if outcome.state == "timeout":
            assert outcome.error["type"] == "task_timeout"
            assert outcome.wall_ns >= 0.3e9
            check_time("a task over its time", outcome.wall_ns / 1e9, 1.3)


@pytest.mark.ways(lambda way: way.backend in ("threading", "thread-pool", "sequential"))
def test_a_leaked_thread_has_the_process_replaced(way: Any, context: Any) -> None:
    way.run(context, "leak", [1], params={"leaves": "thread", "seconds": 1.2})
    assert "1 threads" in context.must_restart_because


@pytest.mark.ways(lambda way: way.backend == "interpreter-pool")
def test_a_thread_leaked_in_an_interpreter_has_the_process_replaced(way: Any, context: Any) -> None:
    begun = monotonic()
    way.run(context, "leak", [1], params={"leaves": "thread", "seconds": 1.5})
    assert monotonic() - begun < 1.5
    assert context.must_restart_because
    assert way.run(context, "echo", [1]).report.pool == "fresh"


@pytest.mark.ways(lambda way: way.backend == "process-pool")
def test_a_leaked_thread_ends_the_pool(way: Any, context: Any) -> None:
    way.run(context, "leak", [1], params={"leaves": "thread"})
    assert context.must_restart_because is None
    result = way.run(context, "echo", [1])
    assert result.report.pool == "fresh"


@pytest.mark.parametrize("leaves", ["child", "grandchild"])
def test_leaked_processes_are_killed(way: Any, context: Any, leaves: str) -> None:
    for _ in range(2):
        result = way.run(context, "leak", [1], params={"leaves": leaves})
        assert result.outcomes[0].state == "succeeded"
        helpers = [*context.pools.pids, *multiprocessing_helpers()]
        left = [pid for pid in below(os.getpid(), helpers) if is_alive(pid)]
        assert left == []


def test_only_the_calling_thread_is_left(way: Any, context: Any) -> None:
    before = set(threading.enumerate())
    way.run(context, "echo", range(10))
    after = {thread.name for thread in set(threading.enumerate()) - before}
    if way.pool == "fresh" or way.in_process:
        assert not after or way.backend == "interpreter-pool"


def test_ticks_come_often_where_they_are_promised(way: Any, context: Any) -> None:
    ticks = []
    context.on_idle = lambda: ticks.append(threading.current_thread())
    way.run(context, "sleep", range(3), params={"seconds": 0.4})
    if way.in_process:
        assert not ticks
    else:
        assert len(ticks) >= 8
        assert set(ticks) == {threading.main_thread()}


def multiprocessing_helpers() -> set[int]:
    from batchpool.children.start_methods import multiprocessing_helper_pids

    return multiprocessing_helper_pids()


def below(pid: int, spare: list[int]) -> list[int]:
    found: list[int] = []
    for child in children_of(pid):
        if child not in spare:
            found.append(child)
        found += below(child, spare)
    return found
