"""Load: many clients, jobs in the list, batches of one job, registered workers."""

import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from batchpool.client import Client, Job
from batchpool.ledger.connection import connect
from batchpool.ledger.presence import Presence
from batchpool.stack.local_stack import LocalStack

_CLIENTS = 8
_LISTED = 10_000
_LISTING_S = 0.05
_WORKERS = 200
_CALLS = 40
_BATCHES = 1000


def measure(stack: LocalStack, client: Client, quick: bool) -> str:
    """Measure, and return a section of the report."""
    count = 1000
    seconds = _submit_many(stack, count)
    lines = ["### Load", "", "| measurement | figure |", "| --- | ---: |"]
    lines.append(
        f"| {count:,} jobs of 10 no-ops by {_CLIENTS} clients, one `POST ?wait` each "
        f"| {seconds:.2f} s, {count / seconds:,.0f} jobs/s |"
    )
    seconds = _submit_at_once(client, count)
    lines.append(
        f"| the same jobs in one `POST /v1/jobs/bulk`, to the end of all "
        f"| {seconds:.2f} s, {count / seconds:,.0f} jobs/s |"
    )
    spread = _batches(client)
    lines.append(
        f"| one job of {_BATCHES:,} batches of one no-op | {spread:.2f} s, "
        f"{_BATCHES / spread:,.0f} batches/s |"
    )
    if not quick:
        _submit_many(stack, _LISTED - count, wait=False)
    listed = _median(lambda: list(_first_page(client)))
    total = count if quick else _LISTED
    lines.append(f"| a page of 100 of {total:,} jobs | {listed * 1e3:.1f} ms |")
    alone, crowded, page = _with_workers(stack, client)
    lines.append(f"| one no-op, 2 workers registered | {alone * 1e3:.1f} ms |")
    lines.append(f"| one no-op, {_WORKERS} more (simulated) registered | {crowded * 1e3:.1f} ms |")
    lines.append(f"| `GET /v1/workers` with all of them | {page * 1e3:.1f} ms |")
    outcome = "met" if listed < _LISTING_S else "**NOT met**"
    goal = f"a listing of {total:,} jobs answers in < {_LISTING_S * 1e3:.0f} ms"
    return "\n".join([*lines, "", f"- {outcome}: {goal} — {listed * 1e3:.1f} ms", ""])


def _submit_many(stack: LocalStack, count: int, *, wait: bool = True) -> float:
    def work(share: int) -> None:
        with Client(stack.url) as client:
            jobs = [_one(client, wait) for _ in range(share)]
            if not wait:
                client.wait(jobs[-1])

    started = time.perf_counter()
    with ThreadPoolExecutor(_CLIENTS) as pool:
        list(pool.map(work, [count // _CLIENTS] * _CLIENTS))
    return time.perf_counter() - started


def _one(client: Client, wait: bool) -> str:
    submit = client.run if wait else client.submit
    return submit("echo", count=10, backend="sequential").id


def _submit_at_once(client: Client, count: int) -> float:
    started = time.perf_counter()
    jobs = client.submit_many([{"task": "echo", "count": 10, "backend": "sequential"}] * count)
    for job in jobs:
        assert isinstance(job, Job)
        client.wait(job)
    return time.perf_counter() - started


def _batches(client: Client) -> float:
    started = time.perf_counter()
    job = client.submit("echo", count=_BATCHES, backend="sequential", batches=_BATCHES)
    job = client.wait(job)
    assert job.succeeded
    return time.perf_counter() - started


def _first_page(client: Client) -> list[str]:
    found = []
    for job in client.jobs(limit=100):
        found.append(job.id)
        if len(found) == 100:
            break
    return found


def _with_workers(stack: LocalStack, client: Client) -> tuple[float, float, float]:
    def order() -> None:
        assert client.wait(client.submit("echo", count=1, backend="sequential")).succeeded

    alone = _median(order)
    names = [f"bench-{number}" for number in range(_WORKERS)]
    with connect(stack.redis_url) as redis:
        presence = Presence(redis)
        (real, *_) = presence.workers()
        for name in names:
            presence.announce(replace(real, name=name), 60)
        crowded = _median(order)
        page = _median(client.workers)
        for name in names:
            presence.leave(name)
    return alone, crowded, page


def _median(call: Callable[[], object]) -> float:
    times = []
    for _ in range(_CALLS):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return statistics.median(times)
