"""What the subprocesses of tasks leave behind costs the job that left it, and nothing else."""

import time
from pathlib import Path

import pytest

from batchpool.system.process_tree import all_pids, stat_fields
from tests.support.sampling import full
from tests.support.stack_processes import StackProcesses
from tests.support.waiting import check_time

TASKS = str(Path(__file__).parent / "tasks")


@pytest.mark.parametrize("backend", ["sequential", *full("thread-pool", "process-pool")])
def test_orphans_are_reaped_while_the_batch_runs(crew: StackProcesses, backend: str) -> None:
    crew.start_workers(1, BATCHPOOL_TASKS_DIR=TASKS)
    before = zombies()
    job_id = crew.stage.post(task="orphan", count=300, backend=backend)["id"]
    peak = 0
    while crew.stage.get(f"/v1/jobs/{job_id}")["state"] in ("queued", "running"):
        peak = max(peak, len(zombies() - before))
        time.sleep(0.05)
    job = crew.finish(job_id)
    # The exit codes of what tasks waited for themselves are all right.
    assert (job["state"], job["sum"]) == ("succeeded", 7 * 300)
    assert peak <= 100


@pytest.mark.parametrize("backend", ["sequential", "process-pool", *full("multiprocessing")])
@pytest.mark.parametrize("count", [100, *full(1000)])
def test_many_processes_that_are_left_end_with_their_batch(
    crew: StackProcesses, backend: str, count: int
) -> None:
    crew.start_workers(1, BATCHPOOL_TASKS_DIR=TASKS)
    job = crew.run(task="spawner", params={"count": count}, count=1, backend=backend)
    ended = time.monotonic()
    assert job["state"] == "succeeded"
    while sleepers():
        assert time.monotonic() < ended + 20
        time.sleep(0.05)
    check_time(f"the end of {count} processes that a task left", time.monotonic() - ended, 2.0)


@pytest.mark.parametrize("backend", ["sequential", "thread-pool", "process-pool"])
def test_a_helper_kept_between_jobs_is_made_anew(crew: StackProcesses, backend: str) -> None:
    crew.start_workers(1, BATCHPOOL_TASKS_DIR=TASKS)
    how = {} if backend == "sequential" else {"concurrency": 1}
    jobs = [crew.run(task="keeper", count=5, backend=backend, **how) for _ in range(3)]
    assert [job["state"] for job in jobs] == ["succeeded"] * 3
    assert [job["sum"] for job in jobs] == [10] * 3


def zombies() -> set[int]:
    return {pid for pid in all_pids() if stat_fields(pid)[:1] == [b"Z"]}


def sleepers() -> list[int]:
    return [pid for pid in all_pids() if b"71717" in command(pid)]


def command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
