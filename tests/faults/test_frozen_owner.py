"""P5: an owner that was frozen past its lease, and then thawed, writes nothing."""

import contextlib
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from batchpool.system.process_tree import descendants
from tests.support.sampling import full
from tests.support.stack_processes import StackProcesses
from tests.support.waiting import wait_until

SIZE = 4000
"""Items of a batch."""
TASKS = str(Path(__file__).with_name("tasks"))


@pytest.mark.parametrize(
    ("backend", "freezes"),
    [("thread-pool", 1), *full(("process-pool", 1), ("thread-pool", 4), ("process-pool", 4))],
)
def test_a_frozen_and_thawed_worker_writes_nothing(
    crew: StackProcesses, backend: str, freezes: int
) -> None:
    crew.start("batchpool.reconciler")
    crew.start_workers(2)
    for _ in range(freezes):
        freeze_and_thaw(crew, backend)


@pytest.mark.full
@pytest.mark.parametrize(
    "backend",
    ["process-pool", *full("sequential", "threading", "thread-pool", "multiprocessing")],
)
def test_the_runner_of_a_frozen_worker_begins_no_item_after_a_refused_write(
    crew: StackProcesses, tmp_path: Path, backend: str
) -> None:
    """Only the worker can kill its runner, and it is frozen: what is refused stops by itself."""
    crew.start("batchpool.reconciler")
    (frozen, _) = crew.start_workers(2, BATCHPOOL_TASKS_DIR=TASKS)
    log = tmp_path / "log"
    order = {"params": {"path": str(log), "seconds": 0.05}, "backend": backend, "concurrency": 2}
    # Each worker runs one batch, and no other has time for what the frozen one leaves.
    job_id = crew.stage.post(task="logged", count=2 * SIZE, batches=2, **order)["id"]
    crew.wait_running(job_id, recorded=8)
    frozen.send_signal(signal.SIGSTOP)
    batches = crew.stage.get(f"/v1/jobs/{job_id}")["batches"]
    number = next(each["index"] for each in batches if each["epochs"][0]["ppid"] == frozen.pid)
    wait_until(lambda: refused(crew, job_id, number) > 0, 20, "its write was refused")
    # The times are what is tested: there are items for 100 s. The answer may be under way still.
    time.sleep(0.5)
    begun = runs_of(log, number)
    time.sleep(1)
    assert 0 < runs_of(log, number) == begun
    crew.stage.http.post(f"/v1/jobs/{job_id}/cancel")
    frozen.send_signal(signal.SIGCONT)
    crew.finish(job_id)
    wait_until(lambda: len(idle(crew)) == 2, 20, "both workers are idle again")
    assert crew.run(task="echo", count=4, batches=2)["state"] == "succeeded"


def test_an_idle_worker_that_was_frozen_begins_no_batch_that_it_lost(
    crew: StackProcesses, tmp_path: Path
) -> None:
    """Redis claims for it while it waits, and the batch is another's when it is thawed."""
    (frozen,) = crew.start_workers(1, BATCHPOOL_TASKS_DIR=TASKS)
    crew.stop_while_it_waits(frozen)
    crew.start("batchpool.reconciler")
    log = tmp_path / "log"
    order = {"params": {"path": str(log)}, "backend": "sequential"}
    job_id = crew.stage.post(task="logged", count=50, **order)["id"]
    path = f"/v1/jobs/{job_id}"
    epochs = wait_until(lambda: crew.stage.get(path)["batches"][0]["epochs"], 10, "it is claimed")
    assert epochs[0]["ppid"] == frozen.pid
    crew.start_workers(1, BATCHPOOL_TASKS_DIR=TASKS)
    assert crew.finish(job_id)["state"] == "succeeded"
    frozen.send_signal(signal.SIGCONT)
    wait_until(lambda: len(idle(crew)) == 2, 20, "both workers are idle")
    # It has nothing to do, or another batch: one at a time, so both were asked.
    assert crew.run(task="echo", count=4, batches=4)["state"] == "succeeded"
    assert [int(line.split()[0]) for line in log.read_text().splitlines()] == list(range(50))
    assert refused(crew, job_id) == 0


def runs_of(log: Path, batch: int) -> int:
    """How many items of a batch were run, by whomever."""
    items = (int(line.split()[0]) for line in log.read_text().splitlines())
    return sum(item // SIZE == batch for item in items)


def freeze_and_thaw(crew: StackProcesses, backend: str) -> None:
    job_id = crew.stage.post(
        task="sleep", params={"seconds": 0.05}, count=80, backend=backend, concurrency=2
    )["id"]
    (epoch,) = crew.wait_running(job_id, recorded=4)["batches"][0]["epochs"]
    tree = [epoch["ppid"], *descendants(epoch["ppid"])]
    signal_all(tree, signal.SIGSTOP)
    before = refused(crew, job_id)
    job = crew.finish(job_id, 30)
    assert refused(crew, job_id) == before == 0
    signal_all(tree, signal.SIGCONT)
    # The frozen runner has records of its own to hand in, and is told that it is too late.
    wait_until(lambda: refused(crew, job_id) > 0, 10, "a write of the thawed owner is refused")
    assert job["state"] == "succeeded" and job["sum"] == sum(range(80))
    again: dict[str, Any] = crew.stage.get(f"/v1/jobs/{job_id}")
    assert again["sum"] == job["sum"] and again["progress"] == job["progress"]
    assert [record["index"] for record in crew.records(job_id)] == list(range(80))
    wait_until(lambda: len(idle(crew)) == 2, 20, "both workers are idle again")


def refused(crew: StackProcesses, job_id: str, batch: int = 0) -> int:
    return int(crew.redis.hget(f"bp:job:{job_id}:{batch}", "refused") or 0)


def idle(crew: StackProcesses) -> list[dict[str, Any]]:
    return [w for w in crew.stage.get("/v1/workers")["workers"] if w["state"] == "idle"]


def signal_all(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        # The first that is thawed learns that it lost its batch, and ends the others.
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
