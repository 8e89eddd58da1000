"""What the subprocesses of tasks leave behind costs the job that left it, and nothing else."""

import os
import time
from pathlib import Path
from typing import Any

import pytest

from batchpool.system.process_tree import command_of, descendants, stat_fields
from tests.support.sampling import full
from tests.support.stack_processes import StackProcesses
from tests.support.waiting import check_time, wait_until

TASKS = str(Path(__file__).parent / "tasks")
ORPHANS = 300


@pytest.mark.parametrize("backend", ["sequential", *full("thread-pool", "process-pool")])
def test_orphans_are_reaped_while_the_batch_runs(crew: StackProcesses, backend: str) -> None:
    crew.start_workers(1, BATCHPOOL_TASKS_DIR=TASKS)
    before = zombies()
    job_id = crew.stage.post(task="orphan", count=ORPHANS, backend=backend)["id"]
    peak = 0
    while crew.stage.get(f"/v1/jobs/{job_id}")["state"] in ("queued", "running"):
        peak = max(peak, len(zombies() - before))
        time.sleep(0.05)
    job = crew.finish(job_id)
    # The exit codes of what tasks waited for themselves are all right.
    assert (job["state"], job["sum"]) == ("succeeded", 7 * ORPHANS)
    assert peak <= ORPHANS / 2


@pytest.mark.parametrize("backend", ["process-pool", *full("sequential", "multiprocessing")])
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


@pytest.mark.parametrize("backend", ["process-pool", *full("sequential", "thread-pool")])
def test_a_helper_kept_between_jobs_is_made_anew(crew: StackProcesses, backend: str) -> None:
    crew.start_workers(1, BATCHPOOL_TASKS_DIR=TASKS)
    how = {} if backend == "sequential" else {"concurrency": 1}
    jobs = [crew.run(task="keeper", count=5, backend=backend, **how) for _ in range(3)]
    assert [job["state"] for job in jobs] == ["succeeded"] * 3
    assert [job["sum"] for job in jobs] == [10] * 3
    for job in jobs:
        (said,) = leftovers(crew, job)
        assert said.startswith("a new runner takes over: processes that tasks left running were")


PACKAGE = """
import threading

class Monitor(threading.Thread):
    def run(self):
        while not threading.Event().wait(10):
            pass

def draw():
    if not [each for each in threading.enumerate() if isinstance(each, Monitor)]:
        Monitor(name="monitor", daemon=True).start()
"""
MODULE = """
import bars, threading
from batchpool.tasks import task

@task("drawing")
def drawing(item):
    bars.draw()
    return item

@task("waiting")
def waiting(item):
    threading.Thread(target=threading.Event().wait, args=(60,), daemon=True).start()
    return item
"""


@pytest.fixture
def with_package(crew: StackProcesses, tmp_path: Path) -> StackProcesses:
    """A worker whose tasks use an installed package that keeps a thread, as tqdm does."""
    for name, text in {"site-packages/bars.py": PACKAGE, "tasks/drawing.py": MODULE}.items():
        path = tmp_path / name
        path.parent.mkdir()
        path.write_text(text)
    environ = {
        "PYTHONPATH": str(tmp_path / "site-packages"),
        "BATCHPOOL_TASKS_DIR": str(tmp_path / "tasks"),
    }
    crew.start_workers(1, **environ)
    return crew


@pytest.mark.parametrize(
    ("backend", "where"),
    [("process-pool", " in children"), *full(("thread-pool", ""), ("sequential", ""))],
)
def test_an_idle_thread_of_a_package_is_named_and_left(
    with_package: StackProcesses, backend: str, where: str
) -> None:
    crew = with_package
    # On one slot: another child would have a thread of its own, and so a line of its own.
    jobs = [crew.run(task="drawing", count=4, backend=backend, concurrency=1) for _ in range(2)]
    assert leftovers(crew, jobs[0]) == [f"thread 'monitor' of bars goes on{where}"]
    batches = [job["batches"][0] for job in jobs]
    assert batches[0]["epochs"][0]["pid"] == batches[1]["epochs"][0]["pid"], "the same runner"
    assert batches[1]["pool"] == {"process-pool": "warm", "thread-pool": "fresh"}.get(backend)
    assert batches[1]["leftovers"] == []
    job = crew.run(task="drawing", count=4, backend="process-pool", start_method="fork")
    assert job["state"] == "succeeded"
    second_try = job["batches"][0]["second_try"]
    assert (second_try is None) == (backend == "process-pool"), second_try


@pytest.mark.full
def test_a_thread_of_a_task_costs_the_runner_and_is_in_the_report(
    with_package: StackProcesses,
) -> None:
    jobs = [with_package.run(task="waiting", count=1, backend="sequential") for _ in range(2)]
    for job in jobs:
        said = "a new runner takes over: 1 threads of tasks still run in this process"
        assert leftovers(with_package, job) == [said]
    assert len({job["batches"][0]["epochs"][0]["pid"] for job in jobs}) == 2


def leftovers(crew: StackProcesses, job: dict[str, Any]) -> list[str]:
    """What the report says is left; it is added a moment after the end."""

    def said() -> list[str]:
        found: list[str] = crew.stage.get(f"/v1/jobs/{job['id']}")["batches"][0]["leftovers"]
        return found

    return wait_until(said, 10, "the report says what is left")


def zombies() -> set[int]:
    return {pid for pid in descendants(os.getpid()) if stat_fields(pid)[:1] == [b"Z"]}


def sleepers() -> list[int]:
    return [pid for pid in descendants(os.getpid()) if "71717" in command_of(pid)]
