"""What had returned when its process was killed is recorded, and does not run again."""

import os
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from batchpool.ledger.failpoints import MARKER, TESTING, VARIABLE
from batchpool.system.process_tree import children_of
from tests.faults.servers import Server
from tests.support.sampling import full
from tests.support.stack_processes import StackProcesses
from tests.support.waiting import wait_until

TASKS = str(Path(__file__).parent / "tasks")
BACKENDS = ["thread-pool", *full("sequential", "threading", "auto")]


def runs_in(folder: Path) -> Counter[int]:
    path = folder / "runs"
    return Counter(map(int, path.read_text().split())) if path.exists() else Counter()


@pytest.mark.parametrize(("backend", "how"), [
    ("thread-pool", "timeout"),
    *full(("sequential", "timeout"), ("sequential", "cancelled")),
    *full(("thread-pool", "cancelled"), ("threading", "timeout")),
])  # fmt: skip
def test_what_returned_before_a_neighbour_held_the_gil_is_recorded(
    crew: StackProcesses, tmp_path: Path, backend: str, how: str
) -> None:
    crew.start_workers(1, BATCHPOOL_TASKS_DIR=TASKS)
    crew.run(task="echo", count=2, backend=backend)
    spec = {"backend": backend, "concurrency": 1 if backend == "sequential" else 6}
    params = {"folder": str(tmp_path), "item": 4}
    limit_s = 2 if how == "timeout" else 60
    job_id = crew.stage.post(
        task="hold-the-gil", params=params, count=6, timeout_s=limit_s, **spec
    )["id"]
    wait_until(lambda: len(runs_in(tmp_path)) == 4, 10, "four have returned")
    if how == "cancelled":
        crew.stage.http.post(f"/v1/jobs/{job_id}/cancel")
    job = crew.finish(job_id, 10)
    assert job["progress"]["succeeded"] == 4 and job["progress"][how] == 2
    records = crew.records(job_id)
    assert [record["value"] for record in records] == [0, "ä1", 2, "ä3", None, None]
    assert all(record["wall_s"] >= 0 and record["pid"] for record in records[:4])
    assert job["sum"] == 2
    reasons = [epoch["end_reason"] for epoch in job["batches"][0]["epochs"]]
    assert reasons == ["stopped", how]


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_returned_before_the_process_was_killed_does_not_run_again(
    crew: StackProcesses, tmp_path: Path, backend: str
) -> None:
    crew.start_workers(1, BATCHPOOL_TASKS_DIR=TASKS)
    params = {"folder": str(tmp_path), "item": 30}
    # One slot: what other threads had begun, and not returned, would rightly run again.
    how = {"backend": backend, "concurrency": 1}
    job = crew.run(task="kill-once", params=params, count=40, within_s=60, **how)
    assert job["state"] == "succeeded" and job["sum"] == sum(range(40))
    assert runs_in(tmp_path) == Counter(range(40))
    assert len(job["batches"][0]["epochs"]) == 2


@pytest.mark.parametrize(
    ("backend", "point"),
    [
        ("thread-pool", "before flush"),
        *full(("thread-pool", "after flush"), ("sequential", "before flush")),
    ],
)
def test_a_kill_between_record_and_flush_runs_nothing_again(
    crew: StackProcesses, tmp_path: Path, backend: str, point: str
) -> None:
    mark = tmp_path / "mark"
    armed = {VARIABLE: point, MARKER: str(mark), TESTING: "1"}
    crew.start_workers(1, BATCHPOOL_TASKS_DIR=TASKS, **armed)
    spec = {"backend": backend, "concurrency": 1, "shared_sum": "locked"}
    params = {"folder": str(tmp_path), "item": -1}
    job = crew.run(task="kill-once", params=params, count=40, **spec)
    wait_until(mark.exists, 10, f"the kill {point}")
    assert job["state"] == "succeeded" and job["sum"] == sum(range(40))
    assert runs_in(tmp_path) == Counter(range(40))
    assert [record["index"] for record in crew.records(job["id"])] == list(range(40))
    # What the killed process had added is no lost update of the one that took over.
    (batch,) = job["batches"]
    assert job["shared_sum"]["lost"] == 0
    # All may have ended before the first flush, which is the last one then.
    assert job["shared_sum"]["partial"] is (len(batch["epochs"]) == 2)


@pytest.mark.full
def test_a_failure_ends_the_job_even_if_its_process_is_killed_then(
    crew: StackProcesses, tmp_path: Path
) -> None:
    crew.start_workers(1, BATCHPOOL_TASKS_DIR=TASKS)
    spec = {"task": "fail-beside-a-kill", "backend": "thread-pool", "concurrency": 2}
    params = {"folder": str(tmp_path), "item": 1}
    job_id = crew.stage.post(params=params, count=6, batches=2, on_error="stop", **spec)["id"]
    path = f"/v1/jobs/{job_id}"
    wait_until(lambda: crew.stage.get(path)["progress"]["failed"], 10, "a failure recorded")
    (tmp_path / "go").touch()
    job = crew.finish(job_id)
    assert job["progress"]["failed"] == 1 and job["progress"]["cancelled"] == 5
    assert runs_in(tmp_path) == Counter([0, 1])


@pytest.mark.full
def test_what_returned_while_redis_was_away_outlives_its_runner_and_a_cancel(
    server: Server, crew: StackProcesses, tmp_path: Path
) -> None:
    (worker,) = crew.start_workers(1, BATCHPOOL_TASKS_DIR=TASKS)
    params = {"folder": str(tmp_path), "item": 3}
    body = {"task": "wait-for-a-kill", "params": params, "count": 6, "backend": "sequential"}
    job_id = crew.stage.post(**body)["id"]
    wait_until(lambda: len(runs_in(tmp_path)) == 1, 10, "one has returned")
    server.freeze()
    (tmp_path / "go").touch()
    wait_until(lambda: len(runs_in(tmp_path)) == 3, 10, "three have returned")
    (runner,) = children_of(worker.pid)
    os.kill(runner, signal.SIGKILL)
    time.sleep(3)
    worker.send_signal(signal.SIGSTOP)
    server.thaw()
    assert crew.stage.http.post(f"/v1/jobs/{job_id}/cancel").status_code == 202
    worker.send_signal(signal.SIGCONT)
    job = crew.finish(job_id, 20)
    assert (job["state"], job["sum"]) == ("cancelled", 0 + 1 + 2)
    assert (job["progress"]["succeeded"], job["progress"]["cancelled"]) == (3, 3)
    assert runs_in(tmp_path) == Counter([0, 1, 2])
