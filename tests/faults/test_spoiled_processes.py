"""P15: whatever a task does to its own process, the next job on that worker is right."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.tasks.rude import CHANGES
from tests.support.sampling import full
from tests.support.stack_processes import StackProcesses

TASKS = str(Path(__file__).parent / "tasks")
REPLACES = {
    "closed",
    "descriptors",
    "folder",
    "getpid",
    "method",
    "modules",
    "own",
    "patched",
    "root",
}
"""Changes that cannot be put back: another process takes the place of the spoiled one."""
NOT_IN_THREADS = {"handlers", "mask"}
"""Changes that a thread beside the main one may not make, or takes with it at its end."""
NOT_IN_RUNNER = {"getpid"}
"""Changes that make the batch itself fail, where the runner runs the tasks."""
BACKENDS = ["sequential", *full("process-pool", "thread-pool", "multiprocessing")]


@pytest.fixture
def worker(crew: StackProcesses) -> Iterator[None]:
    """A worker that has a temp folder of its own, which a task may remove."""
    folder = tempfile.mkdtemp(prefix="bp-")
    crew.start_workers(1, BATCHPOOL_TASKS_DIR=TASKS, TMPDIR=folder)
    yield
    crew.__exit__()
    shutil.rmtree(folder)


def describe(crew: StackProcesses, backend: str) -> tuple[int, Any]:
    """The PID and the state of a process in which tasks run."""
    job = crew.run(task="describe", count=1, backend=backend, concurrency=1)
    (record,) = crew.records(job["id"])
    assert record["state"] == "succeeded", record["error"]
    return record["pid"], record["value"]


def changes(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    return {name: (was, after[name]) for name, was in before.items() if after[name] != was}


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_next_job_finds_its_process_as_it_was(
    crew: StackProcesses, worker: None, backend: str
) -> None:
    crew.run(task="echo", count=3, backend=backend, concurrency=1)
    pid, before = describe(crew, backend)
    for how in CHANGES:
        if backend == "thread-pool" and how in NOT_IN_THREADS:
            continue
        if backend in ("sequential", "thread-pool") and how in NOT_IN_RUNNER:
            continue
        job = crew.run(task="rude", params={"how": how}, count=1, backend=backend, concurrency=1)
        (record,) = crew.records(job["id"])
        # Without its folder, a job whose children report through it cannot go on.
        assert record["value"] == "changed" or how in ("folder", "root"), (how, record)
        job = crew.run(task="echo", count=3, backend=backend, concurrency=1, within_s=20)
        assert (job["state"], job["sum"]) == ("succeeded", 3), (how, job["error"])
        now, after = describe(crew, backend)
        assert changes(before, after) == {}, how
        is_kept = backend != "multiprocessing" and how not in REPLACES
        assert (now == pid) == is_kept, how
        pid = now


def test_what_tasks_start_has_default_signals(crew: StackProcesses, worker: None) -> None:
    for backend in ("sequential", "process-pool", "multiprocessing"):
        job = crew.run(task="terminate-a-child", count=2, backend=backend)
        assert [record["value"] for record in crew.records(job["id"])] == [-15, -2], backend
