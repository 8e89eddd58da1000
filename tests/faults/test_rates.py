"""A rate holds over all workers, whatever dies; with retries alone a server that refuses is served.

The server counts itself: it refuses what is more than 20 in any second, by its own clock. A rate
holds for the moments at which items begin, which each of them sends along.
"""

import os
import signal
import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from batchpool.rates import pace_of
from tests.support.sampling import full
from tests.support.stack_processes import StackProcesses
from tests.support.waiting import wait_until

TASKS = str(Path(__file__).parent / "tasks")
MOST = 20
RATE = 20
SLOW = 15
"""The rate that a task declares."""
DELAY_S = 0.03
STRAY = 3
"""Items that may be late by tens of milliseconds on a busy machine, on their way to the server."""
SIZES = [45, *full(200)]


class BusyServer:
    """A server that answers 429 to more than 20 requests in any second, and keeps a log."""

    def __init__(self) -> None:
        self.arrived: list[float] = []
        self.taken: list[float] = []
        self.begun: list[float] = []
        lock = threading.Lock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                with lock:
                    now_s = monotonic()
                    server.arrived.append(now_s)
                    server.begun.append(float(self.headers["X-Begun"]))
                    is_taken = most_in_a_second([*server.taken[-MOST:], now_s]) <= MOST
                    if is_taken:
                        server.taken.append(now_s)
                self.send_response(200 if is_taken else 429)
                self.end_headers()

            def log_message(self, *args: Any) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}/"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,))

    def __enter__(self) -> "BusyServer":
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    @property
    def was_delayed(self) -> bool:
        """Whether the machine stood still for longer than a rate leaves room for."""
        begun = sorted(self.begun)
        ways = (there - begin for begin, there in zip(self.begun, self.arrived, strict=True))
        gaps = (later - earlier for earlier, later in pairwise(begun))
        return max(ways) > DELAY_S or max(gaps) > DELAY_S + pace_of(f"{RATE}/s").spacing_s

    @property
    def refused(self) -> int:
        return len(self.arrived) - len(self.taken)


def most_in_a_second(times_s: Iterable[float]) -> int:
    times_s = sorted(times_s)
    return max(n + 1 - bisect_left(times_s, end - 1) for n, end in enumerate(times_s))


@pytest.fixture
def busy() -> Iterator[BusyServer]:
    with BusyServer() as running:
        yield running


@pytest.fixture
def three(crew: StackProcesses) -> StackProcesses:
    crew.start("batchpool.reconciler")
    crew.start_workers(3, BATCHPOOL_TASKS_DIR=TASKS)
    return crew


def order(busy: BusyServer, count: int, **more: Any) -> dict[str, Any]:
    body = {"task": "call", "count": count, "batches": 3, "concurrency": 4}
    return body | {"params": {"url": busy.url}} | more


def test_three_workers_together_hold_a_rate(three: StackProcesses, busy: BusyServer) -> None:
    job = three.run(60, **order(busy, 45, rate=f"{RATE}/s", retries=5))
    assert (job["state"], job["spec"]["rate"]) == ("succeeded", f"{RATE}/s")
    assert {len(batch["epochs"]) for batch in job["batches"]} == {1}
    assert busy.refused <= STRAY
    assert most_in_a_second(busy.begun) <= RATE + STRAY
    # Most of the rate is used.
    assert busy.arrived[-1] - busy.arrived[0] < 5 * 45 / RATE


@pytest.mark.full
@pytest.mark.alone
@pytest.mark.parametrize("backend", ["thread-pool", "process-pool"])
def test_a_server_refuses_nothing_at_the_rate_that_it_takes(
    three: StackProcesses, busy: BusyServer, backend: str
) -> None:
    job = three.run(60, **order(busy, 200, backend=backend, rate=f"{RATE}/s", retries=5))
    assert job["state"] == "succeeded" and len(busy.taken) == 200
    stray = 2 * STRAY if busy.was_delayed else 0
    assert busy.refused <= stray
    assert most_in_a_second(busy.begun) <= RATE + stray
    assert most_in_a_second(busy.arrived) <= RATE + stray
    by_second = Counter(int(at_s - busy.arrived[0]) for at_s in busy.arrived)
    assert max(by_second.values()) <= RATE + stray
    assert busy.arrived[-1] - busy.arrived[0] < 1.2 * 200 / RATE


@pytest.mark.full
@pytest.mark.parametrize("count", SIZES)
def test_retries_alone_serve_a_server_that_refuses(
    three: StackProcesses, busy: BusyServer, count: int
) -> None:
    retries = {"max": 20, "delay_s": 0.5, "max_delay_s": 4, "on": ["HTTPError"]}
    job = three.run(120, **order(busy, count, retries=retries))
    assert job["state"] == "succeeded"
    assert busy.refused > 0
    assert len(busy.taken) == count


@pytest.mark.full
def test_a_worker_that_dies_takes_no_more_than_its_lease(
    three: StackProcesses, busy: BusyServer
) -> None:
    count = 60
    job_id = three.stage.post(**order(busy, count, task="call-slowly"))["id"]
    wait_until(lambda: len(busy.arrived) >= 15, 20, "the job runs")
    (victim, *_) = [w for w in three.members if "worker" in str(w.args)]
    os.kill(victim.pid, signal.SIGKILL)
    victim.wait(5)
    three.members.remove(victim)
    job = three.finish(job_id, 60)
    assert (job["state"], job["spec"]["rate"]) == ("succeeded", "15/s")
    # Who took the batch over ran only what had no record, and kept the rate.
    assert count <= len(busy.arrived) <= count + 8
    assert most_in_a_second(busy.begun) <= SLOW + STRAY


@pytest.mark.full
def test_a_rate_that_is_ordered_may_only_be_lower(three: StackProcesses, busy: BusyServer) -> None:
    body = order(busy, 3, task="call-slowly")
    answer = three.stage.http.post("/v1/jobs", json=body | {"rate": "16/s"})
    assert answer.status_code == 422
    assert "rate: must be at most 15/s, the rate of the task, got '16/s'" in answer.text
    job_id = three.stage.post(**body, rate="30/h")["id"]
    wait_until(lambda: len(busy.arrived) == 1, 10, "one has begun")
    three.stage.http.post(f"/v1/jobs/{job_id}/cancel")
    assert three.finish(job_id, 10)["progress"]["cancelled"] == 2
