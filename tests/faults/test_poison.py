"""P6, P7, P8: what a task can do to its process: it pays for it alone, and nothing is left."""

import os
import signal
import time
from pathlib import Path

import pytest

from batchpool.system.process_tree import descendants, is_alive
from tests.support.sampling import full
from tests.support.stack_processes import StackProcesses
from tests.support.waiting import check_time, wait_until

TASKS = str(Path(__file__).parent / "tasks")
BACKENDS = [
    "process-pool",
    *full("thread-pool", "asyncio", "sequential", "threading", "multiprocessing"),
]
IN_C = ["thread-pool", *full("process-pool", "sequential", "threading", "multiprocessing")]
LEAKS = [("process-pool", "grandchild")]
OTHER_LEAKS = [
    (backend, leaves)
    for backend in ("thread-pool", "process-pool", "multiprocessing")
    for leaves in ("thread", "child", "grandchild")
    if (backend, leaves) not in LEAKS
]


@pytest.mark.parametrize("backend", BACKENDS)
def test_one_segfault_among_many_costs_that_item_only(crew: StackProcesses, backend: str) -> None:
    (worker,) = crew.start_workers(1)
    items = 500
    how = {"concurrency": 4} if backend != "sequential" else {}
    params = {"how": "segfault", "item": 31}
    job = crew.run(task="crash", params=params, count=items, backend=backend, within_s=60, **how)
    assert job["progress"]["succeeded"] == items - 1 and job["progress"]["crashed"] == 1
    assert job["sum"] == sum(range(items)) - 31
    (bad,) = [record for record in crew.records(job["id"]) if record["state"] == "crashed"]
    assert bad["index"] == 31 and "SIGSEGV" in bad["error"]["message"]
    started = time.monotonic()
    assert crew.run(task="echo", count=3)["batches"][0]["epochs"][0]["ppid"] == worker.pid
    check_time("the next job", time.monotonic() - started, 5)


@pytest.mark.parametrize("backend", IN_C)
def test_the_limit_of_a_job_holds_against_c_code_that_keeps_the_gil(
    crew: StackProcesses, backend: str
) -> None:
    (worker,) = crew.start_workers(1, BATCHPOOL_TASKS_DIR=TASKS)
    # Warm, so that the time of starting processes is none of the limit's.
    crew.run(task="echo", count=2, backend=backend)
    started = time.monotonic()
    job_id = crew.stage.post(task="stuck-in-c", count=2, backend=backend, timeout_s=2)["id"]
    wait_until(lambda: crew.stage.get(f"/v1/jobs/{job_id}")["state"] == "running", 5, "it runs")
    below = set(descendants(worker.pid))
    job = crew.finish(job_id, 6)
    check_time("the end at the limit", time.monotonic() - started, 4.5)
    assert job["state"] == "failed" and job["error"]["type"] == "timeout"
    assert job["progress"]["timeout"] == 2
    wait_until(lambda: not any(map(is_alive, below)), 2, "what ran it is gone")


@pytest.mark.parametrize(("backend", "leaves"), [*LEAKS, *full(*OTHER_LEAKS)])
def test_what_a_task_leaves_behind_is_gone_after_the_batch(
    crew: StackProcesses, backend: str, leaves: str
) -> None:
    (worker,) = crew.start_workers(1)
    job = crew.run(task="leak", params={"leaves": leaves}, count=2, backend=backend)
    assert job["state"] == "succeeded"

    def strays() -> list[str]:
        commands = [Path(f"/proc/{pid}/cmdline") for pid in descendants(worker.pid)]
        texts = [path.read_bytes().decode() for path in commands if path.exists()]
        return [text for text in texts if "time.sleep" in text]

    wait_until(lambda: not strays(), 2, "no process of the task lives")
    assert crew.run(task="echo", count=3, backend=backend)["sum"] == 3


@pytest.mark.full
def test_a_runner_killed_again_and_again_from_outside_blames_no_item(crew: StackProcesses) -> None:
    (worker,) = crew.start_workers(1)
    job_id = crew.stage.post(
        task="sleep", params={"seconds": 0.3}, count=12, backend="thread-pool", concurrency=3
    )["id"]
    for recorded in (1, 4, 7):
        crew.wait_running(job_id, recorded)
        (runner,) = [pid for pid in descendants(worker.pid) if is_runner(pid)]
        os.kill(runner, signal.SIGKILL)
    job = crew.finish(job_id)
    assert job["state"] == "succeeded" and job["progress"]["crashed"] == 0


def is_runner(pid: int) -> bool:
    path = Path(f"/proc/{pid}/cmdline")
    return path.exists() and b"batchpool.runner" in path.read_bytes()
