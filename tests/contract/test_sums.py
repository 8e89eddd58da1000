"""The shared sum shows what each strategy does to the same numbers."""

from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.usefixtures("fork_server")

SLEEP = {"seconds": 0.02}


@pytest.mark.ways(lambda way: way.shares)
def test_a_global_is_shared_by_threads_and_by_nothing_else(way: Any, context: Any) -> None:
    for _ in range(2):
        result = way.run(
            context, "sleep", range(5), params=SLEEP, shared_sum="global", concurrency=5
        )
        shares = way.in_process and way.backend != "interpreter-pool"
        assert result.report.observed == (10 if shares else 0)
        seen = [outcome.sum_seen for outcome in result.outcomes]
        if shares:
            assert max(seen) == 10
        if way.backend == "multiprocessing":
            assert sorted(seen) == [0, 1, 2, 3, 4]


@pytest.mark.ways(lambda way: way.shares)
def test_a_locked_sum_is_exact(way: Any, context: Any) -> None:
    for _ in range(2):
        items = [*range(way.few(40)), 2**70, True, None, "x"]
        total = sum(range(way.few(40))) + 2**70
        result = way.run(context, "echo", items, shared_sum="locked")
        assert result.report.observed == total
        seen = {outcome.sum_seen for outcome in result.outcomes}
        assert max(number for number in seen if number is not None) == total


@pytest.mark.ways(lambda way: way.shares)
def test_a_locked_sum_of_floats_is_what_floats_give(way: Any, context: Any) -> None:
    result = way.run(context, "echo", [0.5, 0.25, 1], shared_sum="locked")
    assert result.report.observed == 1.75


@pytest.mark.ways(lambda way: way.is_parallel)
def test_a_racy_sum_loses_updates(way: Any, context: Any, tmp_path: Path) -> None:
    lost = []
    for batch in range(50):
        # They leave a meeting at one time, so that they add at one time.
        folder = tmp_path / str(batch)
        folder.mkdir()
        params = {"folder": str(folder), "parties": 6}
        items = range(1, 7)
        result = way.run(context, "meet", items, params=params, shared_sum="racy", concurrency=6)
        assert sum(outcome.value for outcome in result.outcomes) == 21
        lost.append(21 - result.report.observed)
        if lost[-1]:
            break
    assert lost[-1] > 0


def test_without_a_strategy_nothing_is_observed(way: Any, context: Any) -> None:
    result = way.run(context, "echo", range(3))
    assert result.report.observed is None
    assert {outcome.sum_seen for outcome in result.outcomes} == {None}
