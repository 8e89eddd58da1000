"""Failed tasks are tried again, later and with their history, whoever owns the batch by then."""

import os
import signal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from batchpool.retry_policy import RetryPolicy
from tests.support.sampling import full
from tests.support.stack_processes import StackProcesses
from tests.support.waiting import wait_until

TASKS = str(Path(__file__).parent / "tasks")
ITEMS = 12
BACKENDS = ("sequential", "threading", "thread-pool", "multiprocessing", "process-pool", "asyncio")


def start(crew: StackProcesses) -> None:
    crew.start("batchpool.reconciler")
    crew.start_workers(1, BATCHPOOL_TASKS_DIR=TASKS)


def runs_of(folder: Path) -> dict[int, list[float]]:
    """When each item was run, by the task's own files."""
    return {
        int(file.name): [float(line) for line in file.read_text().splitlines()]
        for file in folder.iterdir()
    }


def order(folder: Path, **more: Any) -> dict[str, Any]:
    folder.mkdir()
    params = {"folder": str(folder)} | more.pop("params", {})
    return {"task": "flaky", "params": params, "count": ITEMS, "concurrency": 4} | more


def test_every_backend_tries_again_and_keeps_the_history(
    crew: StackProcesses, tmp_path: Path
) -> None:
    start(crew)
    for backend in BACKENDS:
        folder = tmp_path / backend
        retries = {"max": 2, "delay_s": 0.01, "on": ["RuntimeError"]}
        body = order(folder, params={"fails": 2}, backend=backend, retries=retries)
        job = crew.run(**body)
        assert (job["state"], job["sum"]) == ("succeeded", sum(range(ITEMS))), backend
        for record in crew.records(job["id"]):
            assert record["attempt"] == 3, backend
            errors = [attempt["error"] for attempt in record["tries"]]
            index = record["index"]
            assert [e["message"] for e in errors] == [f"run {n} of {index}" for n in (1, 2)]
            assert {error["type"] for error in errors} == {"RuntimeError"}
            assert all(attempt["wall_s"] >= 0 for attempt in record["tries"])
        assert {len(times) for times in runs_of(folder).values()} == {3}, backend


def test_tries_that_are_used_up_leave_a_failure_with_all_of_them(
    crew: StackProcesses, tmp_path: Path
) -> None:
    start(crew)
    job = crew.run(**order(tmp_path / "runs", params={"fails": 9}, retries=3))
    assert job["state"] == "failed" and job["progress"]["failed"] == ITEMS
    for record in crew.records(job["id"]):
        assert (record["state"], record["attempt"], len(record["tries"])) == ("failed", 4, 3)
        assert record["error"]["message"] == f"run 4 of {record['index']}"
    assert {len(times) for times in runs_of(tmp_path / "runs").values()} == {4}


@pytest.mark.full
def test_tries_lie_further_and_further_apart(crew: StackProcesses, tmp_path: Path) -> None:
    start(crew)
    crew.run(**order(tmp_path / "runs", params={"fails": 5}, retries=5, count=1))
    (times,) = runs_of(tmp_path / "runs").values()
    gaps = [after - before for before, after in pairwise(times)]
    default = RetryPolicy(jitter="none")
    bounds = [default.wait_s(attempt) for attempt in range(2, 7)]
    # The jitter is anything up to the bound: that all are as short as this is one chance in 10^8.
    assert sum(gaps) > 0.01 * sum(bounds)
    assert all(gap < bound + 1 for gap, bound in zip(gaps, bounds, strict=True))


@pytest.mark.full
@pytest.mark.parametrize("backend", ["thread-pool", *full("process-pool", "asyncio", "threading")])
def test_a_wait_ends_with_a_cancel_or_the_time_limit(
    crew: StackProcesses, tmp_path: Path, backend: str
) -> None:
    start(crew)
    retries = {"max": 3, "delay_s": 600, "max_delay_s": 600, "jitter": "none"}
    body = {"backend": backend, "retries": retries}
    job_id = crew.stage.post(**order(tmp_path / "cancelled", **body))["id"]
    wait_until(lambda: len(runs_of(tmp_path / "cancelled")) == ITEMS, 20, "all have failed once")
    crew.stage.http.post(f"/v1/jobs/{job_id}/cancel")
    assert crew.finish(job_id)["progress"]["cancelled"] == ITEMS
    job = crew.run(**order(tmp_path / "limited", timeout_s=20, **body))
    assert (job["state"], job["progress"]["failed"]) == ("failed", ITEMS)
    assert job["timing"]["wall_s"] < 10
    for record in crew.records(job["id"]):
        # The error of its last attempt, and not that it waited for one that could not come.
        assert record["error"]["message"] == f"run 1 of {record['index']}"


@pytest.mark.full
@pytest.mark.parametrize(
    ("backend", "dispatch"),
    [
        ("thread-pool", "map"),
        ("thread-pool", "submit"),
        ("multiprocessing", None),
        ("process-pool", "map"),
    ],
)
def test_an_item_that_waits_when_the_limit_comes_has_its_last_error(
    crew: StackProcesses, tmp_path: Path, backend: str, dispatch: str | None
) -> None:
    start(crew)
    retries = {"max": 3, "delay_s": 1, "jitter": "none"}
    crew.run(task="echo", count=1, backend=backend, concurrency=1)
    how = {"backend": backend, "concurrency": 1, "count": 2, "timeout_s": 9}
    how |= {"dispatch": dispatch} if dispatch else {}
    # The other item has the only slot when the first one may be tried again: it was handed out to
    # wait in the queue of an executor, or was not.
    body = order(tmp_path / "runs", params={"fails": 9, "seconds": 5}, retries=retries)
    job = crew.run(**(body | how))
    first, second = crew.records(job["id"])
    assert (first["state"], first["error"]["message"]) == ("failed", "run 1 of 0")
    assert second["state"] == "timeout"
    assert job["error"]["type"] == "timeout"


@pytest.mark.parametrize(
    ("backend", "victim"),
    [
        ("thread-pool", "worker"),
        *full(("thread-pool", "runner"), ("process-pool", "runner"), ("process-pool", "worker")),
    ],
)
def test_a_takeover_amid_retries_keeps_the_sum_exact(
    crew: StackProcesses, tmp_path: Path, backend: str, victim: str
) -> None:
    start(crew)
    folder, count = tmp_path / "runs", 60
    params = {"fails": 1, "seconds": 0.05}
    body = order(folder, params=params, backend=backend, retries=3, count=count, concurrency=2)
    job_id = crew.stage.post(**body)["id"]

    def second_wave() -> bool:
        return sum(len(times) > 1 for times in runs_of(folder).values()) >= 5

    wait_until(second_wave, 20, "items tried again")
    running = crew.stage.get(f"/v1/jobs/{job_id}")
    (epoch,) = running["batches"][0]["epochs"]
    os.kill(epoch["ppid" if victim == "worker" else "pid"], signal.SIGKILL)
    if victim == "worker":
        (dead,) = [member for member in crew.members if member.pid == epoch["ppid"]]
        assert dead.wait(5) == -signal.SIGKILL
        crew.members.remove(dead)
        # As whatever started it would do; it also tidies up after the one that could not.
        crew.start_workers(1, BATCHPOOL_TASKS_DIR=TASKS)
    job = crew.finish(job_id)
    assert (job["state"], job["sum"]) == ("succeeded", sum(range(count)))
    assert len(job["batches"][0]["epochs"]) >= 2
    records = crew.records(job_id)
    assert [record["value"] for record in records] == list(range(count))
    # What was recorded is not run again; the others find that they have failed before.
    assert all(2 <= len(times) <= 4 for times in runs_of(folder).values())
