"""A worker at a limit of its machine says which one it is, and works again when there is room."""

import os
import resource
import signal

from tests.support.stack_processes import StackProcesses
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


def test_a_runner_without_descriptors_fails_its_batch_and_is_replaced(crew: StackProcesses) -> None:
    (worker,) = crew.start_workers(1)
    crew.run(task="echo", count=3)
    runner = crew.runner_pid(worker)
    limit_descriptors(runner)
    job = crew.run(task="echo", count=3, backend="process-pool", within_s=15)
    assert job["state"] == "failed" and "RLIMIT_NOFILE" in job["error"]["message"]
    wait_until(lambda: crew.runner_pid(worker) != runner, 10, "another runner")
    assert crew.run(task="echo", count=3)["sum"] == 3
