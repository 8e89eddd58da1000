"""What tasks do with forks, random numbers and garbage stays theirs."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.sampling import full
from tests.support.stack_processes import StackProcesses

TASKS = str(Path(__file__).parent / "tasks")
COUNT = 40


@pytest.mark.parametrize("how", ["return", *full("raise", "exit")])
@pytest.mark.parametrize(
    "backend",
    [
        "thread-pool",
        *full("asyncio", "process-pool", "sequential", "threading", "multiprocessing"),
    ],
)
def test_the_child_of_a_task_that_forks_is_nobody(
    crew: StackProcesses, tmp_path: Path, backend: str, how: str
) -> None:
    crew.start_workers(1, BATCHPOOL_TASKS_DIR=TASKS)
    marks = tmp_path / "marks"
    params = {"marks": str(marks), "how": how}
    job = crew.run(task="fork", params=params, count=COUNT, backend=backend, **in_flight(backend))
    assert (job["state"], job["sum"]) == ("succeeded", sum(range(COUNT)))
    assert [record["value"] for record in crew.records(job["id"])] == list(range(COUNT))
    # Each item began once: the child took no item of its own.
    assert sorted(map(int, marks.read_text().split())) == list(range(COUNT))
    assert crew.run(task="echo", count=3)["sum"] == 3


@pytest.mark.parametrize(
    ("backend", "more"),
    [
        ("process-pool", {"pool": "fresh", "chunksize": 1}),
        *full(
            ("multiprocessing", {}),
            ("multiprocessing", {"start_method": "fork"}),
            ("multiprocessing", {"start_method": "spawn"}),
            ("process-pool", {"pool": "fresh", "start_method": "fork", "chunksize": 1}),
        ),
    ],
)
def test_no_two_children_draw_the_same_numbers(
    crew: StackProcesses, backend: str, more: dict[str, Any]
) -> None:
    crew.start_workers(1, BATCHPOOL_TASKS_DIR=TASKS)
    job = crew.run(task="draw", count=12, backend=backend, concurrency=4, **more)
    assert job["state"] == "succeeded"
    drawn = [record["value"] for record in crew.records(job["id"])]
    for numbers in zip(*drawn, strict=True):
        assert len(set(numbers)) == 12


def test_garbage_of_tasks_is_collected_as_it_grows(crew: StackProcesses) -> None:
    crew.start_workers(1, BATCHPOOL_TASKS_DIR=TASKS)
    peaks = {}
    for backend in ("process-pool", "sequential", "thread-pool"):
        how = {"backend": backend, "measure": True, **in_flight(backend, 1)}
        job = crew.run(task="garbage", count=150, **how)
        assert job["state"] == "succeeded"
        peaks[backend] = job["batches"][0]["usage"]["peak_pss_bytes"] >> 20
    # A pool's child has Python's own thresholds.
    assert max(peaks.values()) <= 2 * peaks["process-pool"] + 32, peaks


def in_flight(backend: str, concurrency: int = 2) -> dict[str, int]:
    return {} if backend == "sequential" else {"concurrency": concurrency}
