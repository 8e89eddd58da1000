"""P19: a stopped runner, child or fork server is noticed, and costs what it ran at most."""

import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from batchpool.system.process_tree import is_alive
from tests.support.sampling import full
from tests.support.stack_processes import StackProcesses
from tests.support.waiting import wait_until

TASKS = str(Path(__file__).parent / "tasks")
COUNT = 40
PER_TASK = {"backend": "multiprocessing", "concurrency": 2}
POOL = {"backend": "process-pool", "concurrency": 2}


def test_a_stopped_idle_runner_is_replaced(crew: StackProcesses) -> None:
    (worker,) = crew.start_workers(1)
    first = crew.runner_pid(worker)
    os.kill(first, signal.SIGSTOP)
    assert crew.run(task="echo", count=2, within_s=15)["state"] == "succeeded"
    second = wait_until(lambda: other_runner(crew, worker, first), 5, "it is announced")
    assert not is_alive(first)
    os.kill(second, signal.SIGSTOP)
    wait_until(lambda: other_runner(crew, worker, second), 15, "it is replaced without a batch")


def other_runner(crew: StackProcesses, worker: subprocess.Popen[bytes], pid: int) -> int | None:
    found = crew.runner_pid(worker)
    return None if found == pid else found


@pytest.mark.parametrize(
    ("what", "way"),
    [
        ("self", {"backend": "thread-pool", "concurrency": 2}),
        *full(
            ("self", {"backend": "sequential"}),
            ("self", POOL | {"start_method": "forkserver"}),
            ("self", POOL | {"start_method": "fork"}),
            ("self", PER_TASK | {"start_method": "spawn"}),
            ("parent", POOL | {"start_method": "spawn"}),
            ("parent", PER_TASK | {"start_method": "fork"}),
        ),
    ],
)
def test_an_item_that_stops_a_process_once_succeeds_in_another(
    crew: StackProcesses, tmp_path: Path, what: str, way: dict[str, Any]
) -> None:
    crew.start_workers(1, BATCHPOOL_TASKS_DIR=TASKS)
    params = {"what": what, "folder": str(tmp_path)}
    job = crew.run(task="stop", params=params, count=COUNT, within_s=50, **way)
    assert os.listdir(tmp_path) == ["3"]
    assert job["progress"]["succeeded"] == COUNT and job["sum"] == sum(range(COUNT))


@pytest.mark.full
@pytest.mark.parametrize("way", [{"backend": "thread-pool", "concurrency": 2}, POOL, PER_TASK])
def test_an_item_that_stops_its_process_each_time_is_given_up(
    crew: StackProcesses, way: dict[str, Any]
) -> None:
    crew.start_workers(1, BATCHPOOL_TASKS_DIR=TASKS)
    job = crew.run(task="stop", params={"what": "self"}, count=COUNT, within_s=50, **way)
    assert job["progress"]["succeeded"] == COUNT - 1
    (lost,) = [record for record in crew.records(job["id"]) if record["state"] != "succeeded"]
    assert (lost["index"], lost["state"]) == (3, "crashed")
    assert "stopped by a signal" in lost["error"]["message"]


@pytest.mark.full
@pytest.mark.parametrize("way", [PER_TASK, POOL])
def test_a_stopped_fork_server_is_continued(crew: StackProcesses, way: dict[str, Any]) -> None:
    crew.start_workers(1, BATCHPOOL_TASKS_DIR=TASKS)
    params = {"what": "parent", "items": (0, 1, 2)}
    how = way | {"start_method": "forkserver"}
    job = crew.run(task="stop", params=params, count=6, **how)
    assert job["progress"]["succeeded"] == 6 and job["sum"] == sum(range(6))
