"""Where the time of one no-op goes, measured from outside."""

import statistics
import time
import uuid
from collections.abc import Callable
from functools import partial

import httpx
from redis import Redis

from batchpool.client import Client
from batchpool.ledger.connection import connect
from batchpool.ledger.jobs import Jobs
from batchpool.ledger.values.job_entries import NewJob
from batchpool.ledger.values.job_spec import ItemsSummary, JobSpec
from batchpool.queue.rq_queue import enqueue_commands
from batchpool.stack.local_stack import LocalStack
from benchmarks.peers import PEERS, Driven
from benchmarks.redis_servers import redis_server
from benchmarks.redis_timeline import trace

_CALLS = 200
_RQ_CALLS = 100
ONE_ECHO = JobSpec(
    task="echo",
    params={},
    count=1,
    items=ItemsSummary(1, "", [0]),
    backend="sequential",
    concurrency=1,
    batches=1,
    timeout_s=60,
    queue_timeout_s=60,
)
_NOBODY = "bench-nobody"


def measure(stack: LocalStack, client: Client, quick: bool) -> str:
    """Measure, and return a section of the report."""
    calls = _CALLS // 4 if quick else _CALLS
    lines = ["### W4: where the time of one no-op goes", "", "| part | p50 ms |"]
    lines.append("| --- | ---: |")
    lines += [f"| {name} | {ms:.2f} |" for name, ms in _parts(stack, client, calls).items()]
    stages = trace(stack.redis_url, client, calls)
    lines += [
        "",
        f"The same latency, split with MONITOR ({stages.jobs} jobs):",
        "",
        "| stage | p50 ms |",
    ]
    lines.append("| --- | ---: |")
    lines += [f"| {name} | {ms:.2f} |" for name, ms in stages.medians().items()]
    lines += [
        "",
        "Redis commands per no-op (INFO commandstats; those inside scripts count too):",
        "",
    ]
    lines += ["| | commands | us of Redis' CPU | which |", "| --- | ---: | ---: | --- |"]
    lines.append(_commands_row("ours", stack.redis_url, partial(_order_many, client, calls), calls))
    lines += _rq_rows()
    return "\n".join([*lines, ""])


def _parts(stack: LocalStack, client: Client, calls: int) -> dict[str, float]:
    redis = connect(stack.redis_url)
    jobs = Jobs(redis)
    http = httpx.Client(base_url=stack.url, trust_env=False)
    posts: list[float] = []
    waits: list[float] = []
    parts: dict[str, list[float]] = {
        "PING": [],
        "SET, synced": [],
        "GET /healthz: HTTP alone": [],
        "GET of an ended job: HTTP, two reads of the ledger": [],
        "ledger: create and enqueue, synced": [],
    }
    ended = _order(client)
    simple: dict[str, Callable[[], object]] = {
        "PING": redis.ping,
        "SET, synced": lambda: redis.set("bench:set", "x", ex=60),
        "GET /healthz: HTTP alone": lambda: http.get("/healthz").raise_for_status(),
        "GET of an ended job: HTTP, two reads of the ledger": lambda: client.job(ended),
        "ledger: create and enqueue, synced": lambda: _create(redis, jobs),
    }
    for _ in range(calls):
        for name, call in simple.items():
            parts[name].append(_timed(call))
        started = time.perf_counter()
        job = client.submit("echo", count=1, backend="sequential")
        posted = time.perf_counter()
        client.wait(job)
        waits.append(time.perf_counter() - posted)
        posts.append(posted - started)
    _forget(redis)
    redis.close()
    http.close()
    both = [post + wait for post, wait in zip(posts, waits, strict=True)]
    measured = {**parts, "POST": posts, "GET ?wait after it": waits, "POST and GET ?wait": both}
    return {name: statistics.median(times) * 1e3 for name, times in measured.items()}


def _timed(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def _order(client: Client) -> str:
    job = client.wait(client.submit("echo", count=1, backend="sequential"))
    assert job.succeeded
    return job.id


def _order_many(client: Client, count: int) -> None:
    for _ in range(count):
        _order(client)


def _create(redis: Redis, jobs: Jobs) -> None:
    # For a class that no worker has: nobody takes it while the next parts are measured.
    job_id = f"bench{uuid.uuid4().hex[:19]}"
    new = NewJob(job_id, ONE_ECHO, [(0, 1)], None, _NOBODY, 60, 60, 60)
    jobs.create(new, enqueue_commands(_NOBODY, [(job_id, 0)]))
    jobs.cancel(job_id)
    jobs.delete(job_id)


def _forget(redis: Redis) -> None:
    redis.delete(f"rq:queue:batchpool:{_NOBODY}")
    redis.srem("rq:queues", f"rq:queue:batchpool:{_NOBODY}")


def _commands_row(name: str, url: str, call: Callable[[], object], calls: int) -> str:
    with connect(url) as redis:
        before, cpu_before = _stats(redis), _cpu_s(redis)
        call()
        after, cpu_after = _stats(redis), _cpu_s(redis)
    made = {
        command: (number - before.get(command, 0)) / calls
        for command, number in after.items()
        if command not in ("info", "ping") and number > before.get(command, 0)
    }
    us = (cpu_after - cpu_before) / calls * 1e6
    often = sorted(made.items(), key=lambda item: -item[1])
    which = ", ".join(f"{each:.0f} {command}" for command, each in often if each >= 0.5)
    return f"| {name} | {sum(made.values()):.0f} | {us:.0f} | {which} |"


def _cpu_s(redis: Redis) -> float:
    # Not the usec of commandstats: a script's time holds that of its commands, which count again.
    used = redis.info("cpu")
    return float(used["used_cpu_user"]) + float(used["used_cpu_sys"])


def _stats(redis: Redis) -> dict[str, int]:
    found = redis.info("commandstats")
    return {name.removeprefix("cmdstat_"): int(entry["calls"]) for name, entry in found.items()}


def _rq_rows() -> list[str]:
    rows = []
    with redis_server(durable=True) as url:
        for number, name in enumerate(("rq-simple", "rq-fork")):
            environ = {"BENCH_REDIS": url, "BENCH_DB": str(number), "BENCH_PROCESSES": "1"}
            rq = Driven(PEERS[name], name, {**environ, "BENCH_RESULTS": "1"})
            try:
                rq.await_ready()
                order = {"do": "calls", "count": _RQ_CALLS}
                rows.append(_commands_row(name, url, partial(rq.ask, order), _RQ_CALLS))
            finally:
                rq.close()
    return rows
