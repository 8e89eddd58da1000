"""P9: Redis away for a while: nothing is lost, and no live worker's batch is run again."""

import signal
import time
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from batchpool.ledger.blocks.item_codec import ITEMS_PER_BLOCK
from batchpool.ledger.blocks.stored_items import KEPT_PARTS
from tests.faults.servers import Server
from tests.support.sampling import full
from tests.support.stack_processes import StackProcesses
from tests.support.waiting import check_time, wait_until

TASKS = str(Path(__file__).parent / "tasks")
OTHER_BACKENDS = ("sequential", "threading", "asyncio", "process-pool", "auto")
SECONDS = 0.02
GOING_AGAIN_S = 10
SLOW_S = 1.5
"""Longer than a pass of the reconciler takes, shorter than a lease."""


def runs_of(path: Path) -> list[int]:
    """The items that a `logged` task was run for, as often as it was."""
    return [int(line.split()[0]) for line in path.read_text().splitlines()]


@pytest.mark.parametrize(
    ("how", "away_s"), [("killed", 3.0), *full(("frozen", 3.0), ("killed", 30.0), ("frozen", 30.0))]
)
def test_an_outage_in_every_phase_loses_nothing_and_reruns_nothing(
    how: str, away_s: float, server: Server, crew: StackProcesses, tmp_path: Path
) -> None:
    # Two at a time: they are still being run when Redis is back.
    items = int((away_s + 6) * 2 / SECONDS)
    reconciler = crew.start("batchpool.reconciler")
    workers = crew.start_workers(2, BATCHPOOL_TASKS_DIR=TASKS)
    logs = {name: tmp_path / name for name in ("flushing", "long", "queued")}
    # One that flushes all the time, one whose tasks outlast the outage, and ones that wait.
    flushing = post(crew, logs["flushing"], items, SECONDS, "thread-pool")
    long = post(crew, logs["long"], 4, away_s / 2, "process-pool")
    queued = post(crew, logs["queued"], 20, 0.01, "sequential", batches=4)
    crew.wait_running(flushing, recorded=20)
    wait_until(lambda: crew.stage.get(f"/v1/jobs/{long}")["progress"]["running"], 20, "long runs")

    server.freeze() if how == "frozen" else server.kill()
    gone = time.monotonic()
    answer_is_quick_and_honest(crew)
    if how == "killed":
        # A reconciler that starts during the outage knows nothing of before.
        reconciler.send_signal(signal.SIGKILL)
        reconciler.wait(5)
        crew.members.remove(reconciler)
        crew.start("batchpool.reconciler")
    time.sleep(max(0.0, away_s - (time.monotonic() - gone)))
    # Live workers may well come back later than the reconciler, with leases that ran out long ago.
    for worker in workers:
        worker.send_signal(signal.SIGSTOP)
    server.thaw() if how == "frozen" else server.start()
    time.sleep(SLOW_S)
    for worker in workers:
        worker.send_signal(signal.SIGCONT)
    recorded = crew.stage.get(f"/v1/jobs/{flushing}")["progress"]["succeeded"]
    wait_until(
        lambda: crew.stage.get(f"/v1/jobs/{flushing}")["progress"]["succeeded"] > recorded,
        GOING_AGAIN_S,
        "records come in again",
    )
    for job_id, name, count in ((flushing, "flushing", items), (long, "long", 4)):
        job = crew.finish(job_id, 60)
        assert job["state"] == "succeeded" and job["sum"] == sum(range(count))
        assert len(job["batches"][0]["epochs"]) == 1, "a live worker's batch was taken"
        assert sorted(runs_of(logs[name])) == list(range(count)), "an item was run again"
    job = crew.finish(queued, 60)
    assert job["state"] == "succeeded" and job["sum"] == sum(range(20))


@pytest.mark.full
@pytest.mark.parametrize(
    ("backend", "how"),
    [
        ("thread-pool", "killed"),
        *full(("thread-pool", "frozen"), *product(OTHER_BACKENDS, ("killed", "frozen"))),
    ],
)
def test_items_that_are_read_as_they_are_needed_wait_for_redis(
    backend: str, how: str, server: Server, crew: StackProcesses, tmp_path: Path
) -> None:
    crew.start("batchpool.reconciler")
    crew.start_workers(1, BATCHPOOL_TASKS_DIR=TASKS)
    # Fewer blocks would all be read before the first item begins.
    count, log = (KEPT_PARTS + 2) * ITEMS_PER_BLOCK, tmp_path / "runs"
    job_id = post(crew, log, count, 0, backend, items=list(range(count)))
    crew.wait_running(job_id, recorded=20)
    server.freeze() if how == "frozen" else server.kill()
    wait_until(lambda: stands_still(log), 10, "all that was read has run")
    assert 0 < len(runs_of(log)) < count, "it does not wait for Redis"
    server.thaw() if how == "frozen" else server.start()
    job = crew.finish(job_id, 60)
    assert (job["state"], job["sum"]) == ("succeeded", sum(range(count)))
    assert len(job["batches"][0]["epochs"]) == 1, "a live worker's batch was taken"
    assert sorted(runs_of(log)) == list(range(count)), "an item was lost or run again"


def post(
    crew: StackProcesses, log: Path, count: int, seconds: float, backend: str, **more: Any
) -> str:
    params = {"path": str(log), "seconds": seconds}
    how = {"task": "logged", "params": params, "backend": backend, **more}
    if "items" not in how:
        how["count"] = count
    if backend != "sequential":
        how["concurrency"] = 2
    return str(crew.stage.post(**how)["id"])


def stands_still(log: Path, for_s: float = 1.0) -> bool:
    begun = len(runs_of(log))
    time.sleep(for_s)
    return len(runs_of(log)) == begun


def answer_is_quick_and_honest(crew: StackProcesses) -> None:
    for method, path in (("post", "/v1/jobs"), ("get", "/v1/jobs"), ("get", "/readyz")):
        started = time.monotonic()
        body = {"json": {"task": "echo", "count": 1}} if method == "post" else {}
        answer = getattr(crew.stage.http, method)(path, **body)
        took = time.monotonic() - started
        assert answer.status_code == 503, path
        check_time(f"{method} {path} without Redis", took, 2)
        assert "Retry-After" in answer.headers


@pytest.mark.full
def test_a_slow_redis_costs_time_and_nothing_else(server: Server, crew: StackProcesses) -> None:
    crew.start("batchpool.reconciler")
    crew.start_workers(1)
    job_id = crew.stage.post(
        task="sleep", params={"seconds": 0.02}, count=300, backend="thread-pool", concurrency=2
    )["id"]
    crew.wait_running(job_id, recorded=10)
    for _ in range(3):
        with server.client() as client:
            client.execute_command("DEBUG", "SLEEP", "1.5")
    job = crew.finish(job_id, 40)
    assert job["state"] == "succeeded" and job["sum"] == sum(range(300))
    assert len(job["batches"][0]["epochs"]) == 1


def test_a_worker_that_is_told_to_stop_ends_though_redis_is_gone(
    server: Server, crew: StackProcesses
) -> None:
    workers = crew.start_workers(2, BATCHPOOL_GRACE_S="1")
    job_id = crew.stage.post(task="sleep", params={"seconds": 60}, count=1)["id"]
    crew.wait_running(job_id)
    server.kill()
    for worker in workers:
        worker.send_signal(signal.SIGTERM)
    for worker in workers:
        assert worker.wait(10) == 0


@pytest.mark.full
def test_workers_end_at_whatever_moment_of_an_outage_they_are_told_to(
    server: Server, crew: StackProcesses
) -> None:
    workers = crew.start_workers(6, BATCHPOOL_GRACE_S="1")
    server.freeze()
    # The times are what is tested: first their wait for a message runs out, after 20 s. Then they
    # ask in turns of some 4 s, in which the signals come.
    time.sleep(24)
    for worker in workers:
        worker.send_signal(signal.SIGTERM)
        time.sleep(0.7)
    for worker in workers:
        assert worker.wait(10) == 0
