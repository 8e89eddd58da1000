"""P5: an owner that was frozen past its lease, and then thawed, writes nothing."""

import contextlib
import os
import signal
from typing import Any

import pytest

from batchpool.system.process_tree import descendants
from tests.support.sampling import full
from tests.support.stack_processes import StackProcesses
from tests.support.waiting import wait_until


@pytest.mark.parametrize(
    ("backend", "freezes"),
    [("thread-pool", 1), ("process-pool", 1), *full(("thread-pool", 4), ("process-pool", 4))],
)
def test_a_frozen_and_thawed_worker_writes_nothing(
    crew: StackProcesses, backend: str, freezes: int
) -> None:
    crew.start("batchpool.reconciler")
    crew.start_workers(2)
    for _ in range(freezes):
        freeze_and_thaw(crew, backend)


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


def refused(crew: StackProcesses, job_id: str) -> int:
    return int(crew.redis.hget(f"bp:job:{job_id}:0", "refused") or 0)


def idle(crew: StackProcesses) -> list[dict[str, Any]]:
    return [w for w in crew.stage.get("/v1/workers")["workers"] if w["state"] == "idle"]


def signal_all(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        # The first that is thawed learns that it lost its batch, and ends the others.
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
