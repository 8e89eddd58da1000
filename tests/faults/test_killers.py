"""An item that kills its process group, or its parent, costs itself only."""

from pathlib import Path

import pytest

from tests.support.sampling import full
from tests.support.stack_processes import StackProcesses

TASKS = str(Path(__file__).parent / "tasks")
COUNT = 40
WAYS = [
    ("process-pool", {"start_method": "forkserver"}),
    ("thread-pool", {}),
    *full(
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
