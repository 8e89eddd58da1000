"""P8: when what supervises a task is SIGKILLed, the task does not run on, whatever it does."""

import os
import signal
from pathlib import Path

import pytest

from batchpool.system.process_tree import children_of, descendants, is_alive
from tests.support.sampling import full
from tests.support.stack_processes import StackProcesses
from tests.support.waiting import wait_until

TASKS = str(Path(__file__).parent / "tasks")
WALK = [
    (backend, method, task, victim)
    for backend in ("process-pool", "multiprocessing")
    for method in ("fork", "spawn", "forkserver")
    for task in ("sleep", "stuck-in-c")
    for victim in ("worker", "runner")
]
SAMPLE = [("process-pool", "forkserver", "stuck-in-c", "worker")]


@pytest.mark.parametrize(
    ("backend", "start_method", "task", "victim"),
    [*SAMPLE, *full(*(case for case in WALK if case not in SAMPLE))],
)
def test_a_long_task_does_not_outlive_its_supervisor(
    crew: StackProcesses, backend: str, start_method: str, task: str, victim: str
) -> None:
    (worker,) = crew.start_workers(1, BATCHPOOL_TASKS_DIR=TASKS)
    params = {"params": {"seconds": 60}} if task == "sleep" else {}
    how = {"backend": backend, "start_method": start_method, "concurrency": 2}
    job_id = crew.stage.post(task=task, count=2, **how, **params)["id"]
    wait_until(
        lambda: crew.stage.get(f"/v1/jobs/{job_id}")["progress"]["running"] == 2, 20, "two run"
    )
    (runner,) = children_of(worker.pid)
    below = descendants(runner)
    assert len(below) >= 2
    os.kill(worker.pid if victim == "worker" else runner, signal.SIGKILL)
    if victim == "worker":
        assert worker.wait(5) == -signal.SIGKILL
        crew.members.remove(worker)
    wait_until(lambda: not any(map(is_alive, [runner, *below])), 2, "nothing of it runs on")
    crew.stage.http.post(f"/v1/jobs/{job_id}/cancel")
