"""What a batch says of its own run: how far it got when, and what it used of the machine."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from batchpool.backends.facts import BACKENDS
from batchpool.model import START_METHODS
from tests.crew import Crew, settled_clocks

ITEMS = 4
LANES = 2
ITERATIONS = 3_000_000
PHASES = ("begin_s", "ready_s", "end_s", "closed_s")
WAYS = [
    {"backend": name, "start_method": method}
    for name, facts in BACKENDS.items()
    if facts.is_supported
    for method in (START_METHODS if facts.start_method else (None,))
]
HOARD = """
import time
from batchpool.tasks import task

@task("hoard")
def hoard(item):
    'Hold 64 MB for a while.'
    kept = bytearray(b"x") * (64 << 20)
    time.sleep(2)
    return len(kept)
"""


@pytest.fixture
def crew(redis_url: str, redis: Redis, bare: Any) -> Iterator[Crew]:
    with Crew(redis_url, redis, bare) as made:
        yield made


def run(crew: Crew, **body: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The job, and its one batch."""
    job = crew.run(within_s=90, **body)
    assert job["state"] == "succeeded"
    (batch,) = job["batches"]
    return job, batch


def started(way: dict[str, Any]) -> int:
    """How many processes a batch may start whose own start costs CPU time."""
    return {"multiprocessing": ITEMS, "process-pool": LANES}.get(way["backend"], 0)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("way", WAYS, ids=lambda way: "-".join(filter(None, way.values())))
def test_the_cpu_time_of_a_batch_is_that_of_its_tasks_and_a_little(
    crew: Crew, way: dict[str, Any]
) -> None:
    crew.start_workers(1)
    task: dict[str, Any] = {"task": "cpu", "params": {"iterations": ITERATIONS}}
    if way["backend"] == "asyncio":
        task = {"task": "mixed", "params": {"seconds": 0, "iterations": ITERATIONS}}
    # The second time pools are warm, and what was used the first time must not count again.
    for _ in range(2):
        job, batch = run(crew, count=ITEMS, concurrency=LANES, measure=True, **task, **way)
        tasks_s, usage = job["timing"]["task_cpu_s"], batch["usage"]
        assert 0.9 * tasks_s - 0.05 <= usage["cpu_s"]
        assert usage["cpu_s"] <= 1.1 * tasks_s + 0.2 + 0.2 * started(way)
        assert usage["peak_pss_bytes"] > 1 << 20
        assert usage["cpus"] >= 1 and usage["load_1m"] >= 0


@pytest.mark.parametrize("way", WAYS, ids=lambda way: "-".join(filter(None, way.values())))
def test_the_phases_follow_one_another_and_hold_all_tasks(crew: Crew, way: dict[str, Any]) -> None:
    crew.start_workers(1)
    body = {"task": "sleep", "params": {"seconds": 0.05}, "count": ITEMS}
    job, batch = run(crew, concurrency=LANES, **body, **way)
    phases = batch["phases"]
    assert tuple(phases) == PHASES
    assert 0 <= phases["begin_s"] <= phases["ready_s"] <= phases["end_s"] <= phases["closed_s"]
    assert batch["startup_s"] == pytest.approx(phases["ready_s"] - phases["begin_s"], abs=1e-5)
    records = crew.records(job["id"])
    assert phases["ready_s"] <= min(record["offset_s"] for record in records) + 1e-6
    last = max(record["offset_s"] + record["wall_s"] for record in records)
    assert last <= phases["end_s"] + 1e-6
    assert batch["usage"] is None and job["spec"]["measure"] is False


def test_a_batch_that_runs_listed_items_has_loaded_them_when_it_begins(crew: Crew) -> None:
    crew.start_workers(1)
    job, batch = run(crew, task="echo", items=["x" * 1000] * 5000, measure=True)
    assert batch["phases"]["begin_s"] <= min(r["offset_s"] for r in crew.records(job["id"]))
    assert job["spec"]["measure"] is True
    # Too short for a sample from outside: one was taken at its end.
    assert batch["usage"]["peak_pss_bytes"] > 1 << 20


@pytest.mark.parametrize("backend", ["thread-pool", "process-pool", "multiprocessing"])
def test_the_peak_is_that_of_all_processes_together(
    crew: Crew, tmp_path: Path, backend: str
) -> None:
    (tmp_path / "mine.py").write_text(HOARD)
    crew.start_workers(1, BATCHPOOL_TASKS_DIR=str(tmp_path))
    _, small = run(crew, task="echo", count=2, backend=backend, measure=True)
    _, batch = run(crew, task="hoard", count=2, backend=backend, concurrency=2, measure=True)
    held = 2 * (64 << 20)
    assert held <= batch["usage"]["peak_pss_bytes"] < 4 * held
    assert small["usage"]["peak_pss_bytes"] < held


def test_a_pool_that_is_kept_for_other_batches_is_not_counted(crew: Crew, tmp_path: Path) -> None:
    kept = HOARD.replace("kept =", "global kept; kept =").replace("time.sleep(2)", "pass")
    (tmp_path / "mine.py").write_text(kept)
    (worker,) = crew.start_workers(1, BATCHPOOL_TASKS_DIR=str(tmp_path))
    run(crew, task="hoard", count=2, backend="process-pool", concurrency=1)
    settled_clocks(crew.runner_pid(worker))
    _, other = run(crew, task="sleep", params={"seconds": 0.3}, count=1, measure=True)
    assert other["usage"]["peak_pss_bytes"] < 64 << 20
    _, same = run(crew, task="echo", count=2, backend="process-pool", concurrency=1, measure=True)
    assert same["usage"]["peak_pss_bytes"] > 64 << 20


def test_each_batch_of_a_job_is_measured(crew: Crew) -> None:
    crew.start_workers(2)
    job = crew.run(task="sleep", params={"seconds": 0.1}, count=4, batches=2, measure=True)
    assert [batch["usage"]["cpu_s"] > 0 for batch in job["batches"]] == [True, True]
