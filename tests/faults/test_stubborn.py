"""Tasks that will not end, results that are too large, and locks whose holder is killed."""

import os
import random
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from batchpool.system.process_tree import descendants, is_alive
from tests.support.sampling import full
from tests.support.stack_processes import StackProcesses
from tests.support.waiting import wait_until

TASKS = str(Path(__file__).parent / "tasks")
BACKENDS = ["process-pool", *full("thread-pool", "sequential", "threading", "multiprocessing")]


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_task_that_swallows_every_end_is_ended_by_a_cancel(
    crew: StackProcesses, backend: str
) -> None:
    (worker,) = crew.start_workers(1, BATCHPOOL_TASKS_DIR=TASKS)
    job_id = crew.stage.post(task="stubborn", count=2, backend=backend)["id"]
    crew.wait_running(job_id)
    below = descendants(worker.pid)
    assert crew.stage.http.post(f"/v1/jobs/{job_id}/cancel").status_code == 202
    wait_until(lambda: not any(map(is_alive, below)), 2, "nothing of the job runs")
    assert crew.finish(job_id, 3)["state"] == "cancelled"
    assert crew.run(task="echo", count=2)["sum"] == 1


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_result_of_a_hundred_megabytes_is_an_error_of_its_item(
    crew: StackProcesses, backend: str
) -> None:
    crew.start_workers(1, BATCHPOOL_TASKS_DIR=TASKS)
    job = crew.run(task="huge", count=3, backend=backend)
    assert job["progress"]["succeeded"] == 2 and job["sum"] == 2
    (bad,) = [record for record in crew.records(job["id"]) if record["state"] == "failed"]
    assert bad["index"] == 1 and bad["error"]["type"] == "value_too_large"


@pytest.mark.parametrize(
    ("backend", "count", "kills"),
    [
        ("process-pool", 5_000, 2),
        *full(("process-pool", 300_000, 8), ("multiprocessing", 300, 8)),
    ],
)
def test_a_child_killed_in_the_midst_of_the_locked_sum_leaves_no_lock(
    crew: StackProcesses, backend: str, count: int, kills: int
) -> None:
    (worker,) = crew.start_workers(1)
    how = {"backend": backend, "concurrency": 2, "start_method": "fork", "shared_sum": "locked"}
    # A job may end before a child is seen.
    assert any(_kill_children(crew, worker, count, kills, how) for _ in range(5))


def _kill_children(
    crew: StackProcesses,
    worker: subprocess.Popen[bytes],
    count: int,
    most: int,
    how: dict[str, Any],
) -> int:
    """Run a job and kill at most so many children of its runner; returns how many."""
    job_id = crew.stage.post(task="echo", count=count, **how)["id"]
    chance, kills = random.Random(1), 0
    while crew.stage.get(f"/v1/jobs/{job_id}")["state"] in ("queued", "running"):
        runner = crew.runner_pid(worker)
        children = [pid for pid in descendants(runner) if is_alive(pid)]
        if children and kills < most:
            victim = chance.choice(children)
            try:
                os.kill(victim, signal.SIGKILL)
            except ProcessLookupError:
                continue
            wait_until(lambda pid=victim: not is_alive(pid), 5, "killed")
            kills += 1
        time.sleep(0.02)
    job = crew.finish(job_id, 60)
    assert job["state"] == "succeeded" and job["sum"] == sum(range(count))
    return kills
