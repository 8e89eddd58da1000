"""Each item gets one record that says the truth, in every backend."""

import os
from fractions import Fraction
from pathlib import Path
from time import monotonic_ns
from typing import Any

import pytest

from batchpool.exact_sum import ExactSum
from batchpool.model import BatchSpec, RunSpec
from batchpool.runner.run_batch import run_batch

pytestmark = pytest.mark.usefixtures("fork_server")


def by_index(outcomes: list[Any]) -> dict[int, Any]:
    assert len({outcome.index for outcome in outcomes}) == len(outcomes)
    return {outcome.index: outcome for outcome in outcomes}


def test_every_item_gets_one_record_twice_in_a_row(way: Any, context: Any) -> None:
    for batch in range(2):
        count = way.few(50)
        result = way.run(context, "echo", range(count))
        outcomes = by_index(result.outcomes)
        assert sorted(outcomes) == list(range(count))
        assert all(o.state == "succeeded" and o.value == i for i, o in outcomes.items())
        assert result.report.effective_concurrency in way.lanes(3)
        if way.backend in ("process-pool", "interpreter-pool"):
            assert result.report.pool == ("warm" if batch and way.pool == "warm" else "fresh")


def test_many_tiny_items_get_one_record_each(way: Any, context: Any) -> None:
    items = [[n, "ä" * (n % 7)] for n in range(way.few(3_000))]
    result = way.run(context, "echo", items)
    outcomes = by_index(result.outcomes)
    assert [outcomes[i].value for i in range(len(items))] == items


def test_no_items_are_no_records(way: Any, context: Any) -> None:
    result = way.run(context, "echo", [])
    assert result.outcomes == []


def test_items_that_are_done_do_not_run_again(way: Any, context: Any, folder: str) -> None:
    spec = RunSpec(
        "log",
        {"folder": folder},
        backend=way.backend,
        concurrency=3,
        start_method=way.start_method,
        pool=way.pool,
    )
    done = frozenset(range(100, 120, 2))
    result = run_batch(BatchSpec(spec, range(20), first=100, done=done), context=context)
    left = sorted(set(range(100, 120)) - done)
    assert sorted(by_index(result.outcomes)) == left
    runs = (Path(folder) / "runs").read_text().split()
    assert sorted(map(int, runs)) == [index - 100 for index in left]


def test_a_raising_task_fails_alone_with_its_own_traceback(way: Any, context: Any) -> None:
    for _ in range(2):
        result = way.run(
            context, "fail", range(way.few(20)), params={"share": 0.5, "message": "so be it"}
        )
        states = {outcome.state for outcome in result.outcomes}
        assert states == {"succeeded", "failed"}
        assert len(by_index(result.outcomes)) == way.few(20)
        for outcome in result.outcomes:
            if outcome.state == "failed":
                error = outcome.error
                assert error["type"] == "batchpool.tasks.builtin.faults.TaskFailed"
                assert error["message"] == "so be it"
                assert "tasks/builtin/faults.py" in error["traceback"].replace("\\", "/")
                assert not {"lanes.py", "coroutines.py"} & set(error["traceback"].split("/"))
                assert "lanes.py" not in error["traceback"]
                assert outcome.value is None


def test_lanes_are_those_that_the_kernel_shows(way: Any, context: Any) -> None:
    result = way.run(context, "whereabouts", range(way.few(12)))
    pids = set()
    for outcome in result.outcomes:
        pid, ppid, thread_id, thread_name = outcome.value
        assert outcome.site[:4] == (pid, ppid, thread_id, thread_name)
        pids.add(pid)
        if way.start_method != "forkserver" and not way.in_process:
            assert ppid == os.getpid()
    if way.in_process:
        assert pids == {os.getpid()}
    elif way.backend == "multiprocessing":
        assert len(pids) == way.few(12)
    else:
        assert 1 <= len(pids) <= 3
    assert way.in_process or os.getpid() not in pids


def test_times_are_on_one_clock_and_cover_the_task(way: Any, context: Any) -> None:
    began_ns = monotonic_ns()
    result = way.run(context, "sleep", range(3), params={"seconds": 0.05})
    took_ns = monotonic_ns() - began_ns
    for outcome in result.outcomes:
        assert 50e6 <= outcome.wall_ns <= took_ns
        assert outcome.cpu_ns < 40e6
    begun = sorted(outcome.started_ns for outcome in result.outcomes)
    assert 0 <= begun[-1] - begun[0] < 30e9


def test_cpu_time_is_that_of_the_task(way: Any, context: Any) -> None:
    params = {"seconds": 0.05, "iterations": 400_000}
    result = way.run(context, "mixed", range(3), params=params)
    for outcome in result.outcomes:
        assert 10e6 < outcome.cpu_ns <= outcome.wall_ns - 45e6


REFUSED = {
    "lambda": "unencodable_value",
    "nan": "unencodable_value",
    "infinite": "unencodable_value",
    "bytes": "unencodable_value",
    "surrogate": "unencodable_value",
    "nested": "unencodable_value",
    "liar": "unencodable_value",
    "huge": "value_too_large",
    "long": "value_too_large",
    "digits": "value_too_large",
    "picky": "batchpool_tasks.contract.Picky",
    "unprintable": "batchpool_tasks.contract._unprintable.<locals>.Unprintable",
    "exit": "SystemExit",
    "interrupt": "KeyboardInterrupt",
    "stop": "StopIteration",
    "cancelled": "asyncio.exceptions.CancelledError",
}
PASSED = {
    "tuple": [1, {"a": [2.5, None]}, {"3": True}],
    "text": "ä\x00\n",
    "near": "x" * ((1 << 20) - 2),
    "none": None,
}


def test_odd_values_and_errors_fail_alone(way: Any, context: Any) -> None:
    items = [*REFUSED, *PASSED]
    result = way.run(context, "odd", items)
    outcomes = by_index(result.outcomes)
    assert len(outcomes) == len(items)
    for index, item in enumerate(items):
        outcome = outcomes[index]
        if item in PASSED:
            assert outcome.value == PASSED[item]
        else:
            assert outcome.state == "failed"
            expected = "RuntimeError" if (item, way.backend) == ("stop", "asyncio") else None
            assert outcome.error["type"] == (expected or REFUSED[item])
            outcome.error["message"].encode()


def test_the_sum_of_the_records_is_exact(way: Any, context: Any) -> None:
    items = [0.1, 10**30, -0.25, 7, True, None, "8", 1e300, -1e300, 2**70]
    result = way.run(context, "echo", items)
    total = ExactSum()
    total.add_all([outcome.value for outcome in result.outcomes])
    exact = sum(Fraction(x) for x in items if type(x) in (int, float))
    assert total.value() == float(exact)


@pytest.mark.ways(lambda way: way.backend != "multiprocessing")
def test_indices_are_job_wide(way: Any, context: Any) -> None:
    spec = RunSpec("echo", backend=way.backend, start_method=way.start_method, concurrency=2)
    result = run_batch(BatchSpec(spec, ["a", "b", "c"], first=7), context=context)
    assert {o.index: o.value for o in result.outcomes} == {7: "a", 8: "b", 9: "c"}
