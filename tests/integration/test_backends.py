"""Each backend, with each start method, through a real worker: what it runs, says and uses."""

from typing import Any

import pytest

from batchpool.backends.facts import BACKENDS
from batchpool.model import START_METHODS
from tests.support.sampling import full
from tests.support.stack_processes import StackProcesses

ITEMS = 4
LANES = 2
ITERATIONS = 1_500_000
PHASES = ("begin_s", "ready_s", "end_s", "closed_s")
WAYS = [
    {"backend": name, "start_method": method}
    for name, facts in BACKENDS.items()
    if facts.is_supported
    for method in (START_METHODS if facts.start_method else (None,))
]


def name_of(way: dict[str, Any]) -> str:
    return "-".join(filter(None, way.values()))


FEW = [way for way in WAYS if way["start_method"] in (None, "forkserver")]
MEASURED = [way for way in FEW if way["backend"] not in ("threading", "multiprocessing", "auto")]


def cases(few: list[dict[str, Any]]) -> list[Any]:
    return [*few, *full(*(way for way in WAYS if way not in few))]


@pytest.fixture(params=cases(FEW), ids=name_of)
def way(request: pytest.FixtureRequest) -> dict[str, Any]:
    found: dict[str, Any] = request.param
    return found


def run(crew: StackProcesses, **body: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The job, and its one batch."""
    job = crew.run(within_s=90, count=ITEMS, concurrency=LANES, **body)
    assert job["state"] == "succeeded", job
    (batch,) = job["batches"]
    return job, batch


def test_each_item_is_run_once_between_the_phases_of_its_batch(
    shared_crew: StackProcesses, way: dict[str, Any]
) -> None:
    job, batch = run(shared_crew, task="sleep", params={"seconds": 0.05}, **way)
    assert job["sum"] == sum(range(ITEMS)) and job["progress"]["succeeded"] == ITEMS
    records = shared_crew.records(job["id"])
    assert [record["value"] for record in records] == list(range(ITEMS))
    runner = shared_crew.runner_pid(shared_crew.members[0])
    in_process = BACKENDS[way["backend"]].in_process
    assert ({record["pid"] for record in records} == {runner}) == in_process
    phases = batch["phases"]
    assert tuple(phases) == PHASES
    assert 0 <= phases["begin_s"] <= phases["ready_s"] <= phases["end_s"] <= phases["closed_s"]
    assert batch["startup_s"] == pytest.approx(phases["ready_s"] - phases["begin_s"], abs=1e-5)
    assert phases["ready_s"] <= min(record["offset_s"] for record in records) + 1e-6
    last = max(record["offset_s"] + record["wall_s"] for record in records)
    assert last <= phases["end_s"] + 1e-6
    assert batch["usage"] is None and job["spec"]["measure"] is False


def started(way: dict[str, Any]) -> int:
    """How many processes a batch may start whose own start costs CPU time."""
    return {"multiprocessing": ITEMS, "process-pool": LANES}.get(way["backend"], 0)


@pytest.mark.alone
@pytest.mark.parametrize("way", cases(MEASURED), indirect=True, ids=name_of)
def test_the_cpu_time_of_a_batch_is_that_of_its_tasks_and_a_little(
    shared_crew: StackProcesses, way: dict[str, Any]
) -> None:
    task: dict[str, Any] = {"task": "cpu", "params": {"iterations": ITERATIONS}}
    if way["backend"] == "asyncio":
        task = {"task": "mixed", "params": {"seconds": 0, "iterations": ITERATIONS}}
    # The second time pools are warm, and what was used the first time must not count again.
    for _ in range(2):
        job, batch = run(shared_crew, measure=True, **task, **way)
        tasks_s, usage = job["timing"]["task_cpu_s"], batch["usage"]
        assert 0.9 * tasks_s - 0.05 <= usage["cpu_s"]
        # A start costs 0.1 to 0.3 s by machine; to count a batch twice would cost more than 0.4.
        assert usage["cpu_s"] <= 1.1 * tasks_s + 0.2 + 0.4 * started(way)
        assert usage["peak_pss_bytes"] > 1 << 20
        assert usage["cpus"] >= 1 and usage["load_1m"] >= 0
