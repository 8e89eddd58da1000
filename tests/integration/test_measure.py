"""What a batch says it used of the memory of the machine, and of the CPUs in each batch."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.stack_processes import StackProcesses, settled_clocks

HOARD = """
import time
from batchpool.tasks import task

@task("hoard")
def hoard(item):
    'Hold 64 MB for a while.'
    kept = bytearray(b"x") * (64 << 20)
    time.sleep(2)
    return len(kept)

@task("keep")
def keep(item):
    'Hold 64 MB for good.'
    global kept
    kept = bytearray(b"x") * (64 << 20)
"""


@pytest.fixture(scope="module")
def crew_environ(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder: Path = tmp_path_factory.mktemp("tasks")
    (folder / "mine.py").write_text(HOARD)
    return {"BATCHPOOL_TASKS_DIR": str(folder)}


def run(crew: StackProcesses, **body: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The job, and its one batch."""
    job = crew.run(within_s=90, **body)
    assert job["state"] == "succeeded", job
    (batch,) = job["batches"]
    return job, batch


def test_a_batch_that_runs_listed_items_has_loaded_them_when_it_begins(
    shared_crew: StackProcesses,
) -> None:
    job, batch = run(shared_crew, task="echo", items=["x" * 1000] * 5000, measure=True)
    first = min(record["offset_s"] for record in shared_crew.records(job["id"]))
    assert batch["phases"]["begin_s"] <= first
    assert job["spec"]["measure"] is True
    # Too short for a sample from outside: one was taken at its end.
    assert batch["usage"]["peak_pss_bytes"] > 1 << 20


@pytest.mark.parametrize("backend", ["thread-pool", "process-pool", "multiprocessing"])
def test_the_peak_is_that_of_all_processes_together(
    shared_crew: StackProcesses, backend: str
) -> None:
    how = {"backend": backend, "measure": True}
    _, small = run(shared_crew, task="echo", count=2, **how)
    _, batch = run(shared_crew, task="hoard", count=2, concurrency=2, **how)
    held = 2 * (64 << 20)
    assert held <= batch["usage"]["peak_pss_bytes"] < 4 * held
    assert small["usage"]["peak_pss_bytes"] < held


def test_a_pool_that_is_kept_for_other_batches_is_not_counted(crew: StackProcesses) -> None:
    (worker,) = crew.start_workers(1)
    run(crew, task="keep", count=2, backend="process-pool", concurrency=1)
    settled_clocks(crew.runner_pid(worker))
    _, other = run(crew, task="sleep", params={"seconds": 0.3}, count=1, measure=True)
    assert other["usage"]["peak_pss_bytes"] < 64 << 20
    _, same = run(crew, task="echo", count=2, backend="process-pool", concurrency=1, measure=True)
    assert same["usage"]["peak_pss_bytes"] > 64 << 20


def test_each_batch_of_a_job_is_measured(shared_crew: StackProcesses) -> None:
    how: dict[str, Any] = {"params": {"seconds": 0.1}, "count": 4, "batches": 2, "measure": True}
    job = shared_crew.run(task="sleep", **how)
    assert [batch["usage"]["cpu_s"] > 0 for batch in job["batches"]] == [True, True]
