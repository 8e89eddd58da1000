"""Redis has a limit on its memory: orders are refused before it is reached, and work goes on."""

import random
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from redis.exceptions import OutOfMemoryError

from batchpool.ledger.job_creation import CapacityLimits
from tests.faults.servers import Server
from tests.support.sampling import full
from tests.support.stack_processes import StackProcesses
from tests.support.waiting import wait_until

ITEMS = 20_000
ROOM = 8 << 20
FULL_S = 7.0
"""Longer than an idle worker's BLMOVE, so that it must ask a full Redis for work."""


@pytest.fixture
def small() -> Iterator[Server]:
    """A server with room for some jobs."""
    with Server() as server, server.client() as client:
        client.config_set("maxmemory", used(client) + ROOM)
        yield server


def used(client: Any) -> int:
    return int(client.info("memory")["used_memory"])


def post(crew: StackProcesses, items: list[int]) -> Any:
    return crew.stage.http.post("/v1/jobs", json={"task": "echo", "items": items})


def assert_refused(answer: Any) -> None:
    assert answer.status_code == 507, answer.text
    assert answer.content_type == "application/problem+json"
    assert int(answer.headers["Retry-After"]) > 0
    assert answer.get_json()["title"] == "Redis is full"


@pytest.mark.full
def test_orders_are_refused_while_there_is_room_to_finish_all_that_were_accepted(
    small: Server, make_crew: Callable[..., StackProcesses]
) -> None:
    crew = make_crew(small)
    (worker,) = crew.start_workers(1)
    worker.send_signal(signal.SIGSTOP)
    chance = random.Random(7)
    accepted: dict[str, int] = {}
    while True:
        # They do not compress: what is stored of them is what they are.
        items = [chance.randrange(10**12) for _ in range(ITEMS)]
        answer = post(crew, items)
        if answer.status_code != 202:
            break
        accepted[answer.get_json()["id"]] = sum(items)
    assert_refused(answer)
    assert len(accepted) >= 3
    limit = int(crew.redis.config_get("maxmemory")["maxmemory"])  # type: ignore[index,call-overload]
    assert used(crew.redis) < CapacityLimits(0).memory_share * limit
    worker.send_signal(signal.SIGCONT)
    for job_id, expected in accepted.items():
        job = crew.finish(job_id, 60)
        assert (job["state"], job["sum"]) == ("succeeded", expected)
    assert crew.redis.info("stats").get("evicted_keys") == 0  # type: ignore[union-attr]
    assert crew.redis.info("memory")["used_memory_peak"] < limit  # type: ignore[index]
    while (answer := post(crew, items)).status_code == 202:
        accepted[answer.get_json()["id"]] = sum(items)
        crew.finish(answer.get_json()["id"], 60)
    assert_refused(answer)
    for job_id in accepted:
        assert crew.stage.http.delete(f"/v1/jobs/{job_id}").status_code == 204
    wait_until(lambda: post(crew, items).status_code == 202, 5, "an order taken again")


@pytest.mark.parametrize("backend", ["thread-pool", *full("process-pool")])
def test_a_redis_that_is_really_full_stops_work_only_until_it_is_not(
    backend: str, server: Server, crew: StackProcesses
) -> None:
    crew.start("batchpool.reconciler")
    workers = crew.start_workers(3)
    ended = crew.run(task="echo", count=10)["id"]
    slow = {"task": "sleep", "params": {"seconds": 0.1}, "concurrency": 2, "backend": backend}
    jobs = [crew.stage.post(**slow, count=count)["id"] for count in (100, 1000)]
    running = [crew.wait_running(job_id, recorded=2) for job_id in jobs]
    owners = {job["batches"][0]["epochs"][0]["ppid"] for job in running}
    (idle,) = [worker for worker in workers if worker.pid not in owners]
    crew.redis.config_set("maxmemory", "1mb")
    filled = time.monotonic()
    with pytest.raises(OutOfMemoryError):
        crew.redis.set("anything", "x")
    assert_refused(post(crew, [1]))
    # What frees memory, or ends work, needs none.
    assert crew.stage.http.post(f"/v1/jobs/{jobs[1]}/cancel").status_code == 202
    assert crew.finish(jobs[1], 5)["state"] == "cancelled"
    assert crew.stage.http.delete(f"/v1/jobs/{ended}").status_code == 204
    stuck = crew.stage.get(f"/v1/jobs/{jobs[0]}")["progress"]["succeeded"]
    wait_until(lambda: time.monotonic() - filled > FULL_S, 2 * FULL_S, "it was full for long")
    assert crew.stage.get(f"/v1/jobs/{jobs[0]}")["progress"]["succeeded"] <= stuck + 4
    idle.terminate()
    assert idle.wait(10) == 0
    crew.members.remove(idle)
    workers.remove(idle)
    crew.redis.config_set("maxmemory", "0")
    job = crew.finish(jobs[0])
    assert (job["state"], job["sum"]) == ("succeeded", sum(range(100)))
    assert len(job["batches"][0]["epochs"]) == 1
    assert [worker.poll() for worker in workers] == [None, None]
    assert crew.run(task="echo", count=5)["sum"] == 10
