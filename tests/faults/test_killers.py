"""An item that kills its process group, or its parent, costs itself only."""

from pathlib import Path

import pytest

from tests.support.sampling import full
from tests.support.stack_processes import StackProcesses
from tests.support.waiting import wait_until

TASKS = str(Path(__file__).parent / "tasks")
COUNT = 40
WAYS = [
    ("thread-pool", {}),
    *full(
        ("process-pool", {"start_method": "forkserver"}),
        ("process-pool", {"start_method": "fork"}),
        ("process-pool", {"start_method": "spawn"}),
        ("multiprocessing", {"start_method": "forkserver"}),
        ("multiprocessing", {"start_method": "fork"}),
        ("sequential", {}),
    ),
]


@pytest.mark.parametrize(("backend", "more"), WAYS)
def test_a_killed_process_group_costs_one_item(
    crew: StackProcesses, backend: str, more: dict[str, str]
) -> None:
    crew.start_workers(1, BATCHPOOL_TASKS_DIR=TASKS)
    params = {"what": "group"}
    how = {} if backend == "sequential" else {"concurrency": 2}
    job = crew.run(
        task="kill", params=params, count=COUNT, backend=backend, within_s=60, **how, **more
    )
    assert job["progress"]["succeeded"] == COUNT - 1
    assert job["sum"] == sum(range(COUNT)) - 3
    (lost,) = [record for record in crew.records(job["id"]) if record["state"] != "succeeded"]
    assert (lost["index"], lost["state"]) == (3, "crashed")


@pytest.mark.full
@pytest.mark.parametrize("start_method", ["fork", *full("spawn")])
def test_a_child_that_kills_its_runner_is_found(crew: StackProcesses, start_method: str) -> None:
    crew.start_workers(1, BATCHPOOL_TASKS_DIR=TASKS)
    job = crew.run(
        task="kill",
        params={"what": "parent"},
        count=COUNT,
        backend="process-pool",
        concurrency=2,
        start_method=start_method,
        within_s=60,
    )
    assert job["progress"]["succeeded"] == COUNT - 1
    (lost,) = [record for record in crew.records(job["id"]) if record["state"] != "succeeded"]
    assert (lost["index"], lost["state"]) == (3, "crashed")


def test_what_ran_when_a_worker_died_runs_last_in_the_next(crew: StackProcesses) -> None:
    """Else each worker would die of the same item, and nothing behind it would ever run."""
    crew.start("batchpool.reconciler")
    workers = crew.start_workers(2, BATCHPOOL_TASKS_DIR=TASKS)
    params = {"what": "parent", "after_s": 1.0}
    job_id = crew.stage.post(task="kill", params=params, count=COUNT, backend="sequential")["id"]
    wait_until(lambda: all(worker.poll() for worker in workers), 30, "both workers died of it")
    progress = crew.stage.get(f"/v1/jobs/{job_id}")["progress"]
    assert progress["succeeded"] == COUNT - 1
    assert [record["index"] for record in crew.records(job_id)] == [*range(3), *range(4, COUNT)]


@pytest.mark.full
def test_a_failure_stops_the_job_while_suspects_wait(crew: StackProcesses) -> None:
    crew.start_workers(1, BATCHPOOL_TASKS_DIR=TASKS)
    params = {"what": "group", "failing": 10}
    job = crew.run(task="kill", params=params, count=COUNT, backend="sequential", on_error="stop")
    found = {name: count for name, count in job["progress"].items() if count}
    assert found == {"total": COUNT, "succeeded": 9, "failed": 1, "cancelled": COUNT - 10}
