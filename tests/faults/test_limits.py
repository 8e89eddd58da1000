"""A worker at a limit of its machine says which one it is, and works again when there is room."""

import os
import resource
import shutil
import signal
from pathlib import Path

import pytest

from tests.support.stack_processes import StackProcesses, settled_clocks
from tests.support.waiting import wait_until

ROOM = 3
"""Descriptors more than a process has: it can still look around, but start nothing."""


def limit_descriptors(pid: int, most: int | None = None) -> None:
    """Allow a process hardly more descriptors than it has, or `most`."""
    _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    highest = max(int(number) for number in os.listdir(f"/proc/{pid}/fd"))
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (most or highest + 1 + ROOM, hard))


def test_a_job_whose_runner_cannot_be_started_ends_and_names_the_limit(
    crew: StackProcesses,
) -> None:
    (worker,) = crew.start_workers(1)
    before, _ = resource.prlimit(worker.pid, resource.RLIMIT_NOFILE)
    crew.run(task="echo", count=3)
    limit_descriptors(worker.pid)
    os.kill(crew.runner_pid(worker), signal.SIGKILL)
    job = crew.run(task="echo", count=3, within_s=15)
    assert job["state"] == "failed" and "RLIMIT_NOFILE" in job["error"]["message"]
    assert job["progress"]["cancelled"] == 3
    assert worker.poll() is None
    limit_descriptors(worker.pid, before)
    assert crew.run(task="echo", count=3)["sum"] == 3


@pytest.mark.full
def test_a_batch_that_a_runner_without_descriptors_cannot_begin_runs_in_a_fresh_one(
    crew: StackProcesses,
) -> None:
    (worker,) = crew.start_workers(1)
    crew.run(task="echo", count=3)
    runner = crew.runner_pid(worker)
    # Not while it still puts back what the job before may have changed.
    settled_clocks(worker.pid)
    limit_descriptors(runner)
    job = crew.run(task="echo", count=3, backend="process-pool", within_s=15)
    assert (job["state"], job["sum"]) == ("succeeded", 3), job["error"]
    (batch,) = job["batches"]
    assert "RLIMIT_NOFILE" in batch["second_try"]
    assert [epoch["end_reason"] for epoch in batch["epochs"]] == ["broken", "succeeded"]
    assert [record["epoch"] for record in crew.records(job["id"])] == [2, 2, 2]
    wait_until(lambda: crew.runner_pid(worker) != runner, 10, "another runner")


@pytest.mark.full
def test_a_batch_that_breaks_twice_fails_and_names_the_limit(crew: StackProcesses) -> None:
    (worker,) = crew.start_workers(1)
    crew.run(task="echo", count=3)
    # Enough for each runner to start, not for a pool of processes.
    limit_descriptors(worker.pid, 20)
    os.kill(crew.runner_pid(worker), signal.SIGKILL)
    job = crew.run(task="echo", count=3, backend="process-pool", within_s=20)
    assert job["state"] == "failed" and "RLIMIT_NOFILE" in job["error"]["message"], job["error"]
    (batch,) = job["batches"]
    assert "RLIMIT_NOFILE" in batch["second_try"]
    # Before them may be one that the kill ended.
    assert [epoch["end_reason"] for epoch in batch["epochs"][-2:]] == ["broken", "cancelled"]
    assert crew.run(task="echo", count=3)["sum"] == 3


def test_a_batch_whose_runner_lost_its_folder_runs_in_a_fresh_one(crew: StackProcesses) -> None:
    (worker,) = crew.start_workers(1)
    crew.run(task="echo", count=3)
    runner = crew.runner_pid(worker)
    environ = Path(f"/proc/{runner}/environ").read_bytes().split(b"\0")
    settled_clocks(worker.pid)
    (folder,) = [Path(text[7:].decode()) for text in environ if text.startswith(b"TMPDIR=")]
    assert folder.name.startswith("batchpool-run-")
    shutil.rmtree(folder)
    for backend in ("sequential", "process-pool"):
        job = crew.run(task="echo", count=3, backend=backend, within_s=15)
        assert (job["state"], job["sum"]) == ("succeeded", 3), job["error"]
        second_try = job["batches"][0]["second_try"]
        assert second_try is None or "was removed" in second_try
    wait_until(lambda: crew.runner_pid(worker) != runner, 10, "another runner")
