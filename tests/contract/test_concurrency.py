"""As many tasks are in flight as the concurrency says: really so many, and never more."""

import struct
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.usefixtures("fork_server")


@pytest.mark.ways(lambda way: way.is_parallel)
def test_concurrency_is_reached_twice_in_a_row(way: Any, context: Any, tmp_path: Path) -> None:
    for batch in range(2):
        folder = tmp_path / str(batch)
        folder.mkdir()
        params = {"folder": str(folder), "parties": 4}
        result = way.run(context, "meet", range(4), params=params, concurrency=4)
        assert [outcome.error for outcome in result.outcomes] == [None] * 4


def test_concurrency_is_never_exceeded(way: Any, context: Any, folder: str) -> None:
    least = 3 if way.is_parallel else 1
    way.run(context, "crowd", range(way.few(20)), params={"folder": folder, "parties": least})
    highest = struct.unpack("=qq", (Path(folder) / "in-flight").read_bytes())[1]
    assert least <= highest <= max(way.lanes(3))


@pytest.mark.ways(
    lambda way: way.backend in ("process-pool", "interpreter-pool") and way.pool == "warm"
)
def test_a_kept_pool_that_is_larger_runs_no_more_than_asked(
    way: Any, context: Any, folder: str
) -> None:
    way.run(context, "echo", range(10), concurrency=5)
    params = {"folder": folder, "parties": 2}
    result = way.run(context, "crowd", range(12), params=params, concurrency=2)
    assert result.report.pool == "warm"
    highest = struct.unpack("=qq", (Path(folder) / "in-flight").read_bytes())[1]
    assert highest == 2
    params = {"folder": folder, "parties": 5}
    result = way.run(context, "meet", range(5), params=params, concurrency=5)
    assert result.report.pool == "warm"
    assert [outcome.error for outcome in result.outcomes] == [None] * 5


@pytest.mark.ways(lambda way: way.is_parallel and way.backend != "multiprocessing")
def test_long_items_behind_tiny_ones_leave_no_lane_idle(
    way: Any, context: Any, folder: str
) -> None:
    params = {"folder": folder, "parties": 3, "first": 2_000}
    result = way.run(context, "meet", range(2_003), params=params)
    assert {outcome.state for outcome in result.outcomes} == {"succeeded"}
    assert len(result.outcomes) == 2_003


@pytest.mark.ways(lambda way: way.is_parallel and way.backend != "multiprocessing")
def test_long_items_amid_tiny_ones_meet(way: Any, context: Any, folder: str) -> None:
    # The three that wait for each other may lie in one chunk: it must be taken apart.
    tiny = [0] * 1_500
    items = [*tiny, 1, 2, 3, *[0] * 500]
    params = {"folder": folder, "parties": 3, "first": 1}
    result = way.run(context, "meet", items, params=params)
    assert {outcome.state for outcome in result.outcomes} == {"succeeded"}
    assert len(result.outcomes) == len(items)


@pytest.mark.ways(lambda way: way.backend in ("process-pool", "thread-pool", "interpreter-pool"))
def test_a_given_chunksize_is_kept_to(way: Any, context: Any) -> None:
    result = way.run(context, "whereabouts", range(40), chunksize=20, concurrency=3)
    assert len(result.outcomes) == 40
    if way.dispatch == "map":
        lanes: dict[Any, set[int]] = {}
        for outcome in result.outcomes:
            lanes.setdefault(outcome.index // 20, set()).add(outcome.site)
        assert all(len(there) == 1 for there in lanes.values())


def test_no_more_lanes_than_items(way: Any, context: Any) -> None:
    result = way.run(context, "echo", range(2), concurrency=50)
    assert result.report.effective_concurrency in way.lanes(2)
