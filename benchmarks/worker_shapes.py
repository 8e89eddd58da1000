"""Latency of one batch of one no-op, by how the worker uses processes.

    python -m benchmarks.worker_shapes [ROUNDS]

fork: RQ's own worker, a work horse per job · in-process: RQ's SimpleWorker, which no deadline or
cancel can stop · warm runner: batchpool, with claim, ledger and lease. All on one Redis that syncs
every write, one after the other in shuffled rounds; latency from the enqueue to the result.
"""

import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from redis import Redis
from rq import Queue

from batchpool.ledger.connection import connect
from batchpool.ledger.events import Events
from batchpool.ledger.jobs import Jobs
from batchpool.ledger.presence import Presence
from batchpool.ledger.values.job_entries import NewJob
from batchpool.model import TERMINAL_STATES
from batchpool.queue.rq_queue import enqueue_commands
from batchpool.stack.folders import DataFolder
from batchpool.stack.redis_server import choose_redis, server_command
from benchmarks.latency_breakdown import ONE_ECHO

PER_ROUND = 20


def _rq_latency(redis: Redis, queue_name: str) -> Callable[[], float]:
    queue = Queue(queue_name, connection=redis, serializer="json")

    def measure() -> float:
        started = time.perf_counter()
        # A function of the standard library: a horse pays for every import of its own.
        job = queue.enqueue("operator.index", 1, result_ttl=60)
        assert job.latest_result(timeout=10) is not None
        return time.perf_counter() - started

    return measure


def _our_latency(redis: Redis) -> Callable[[], float]:
    jobs, events = Jobs(redis), Events(redis)
    (known,) = Presence(redis).classes()

    def measure() -> float:
        started = time.perf_counter()
        job_id = uuid.uuid4().hex
        new = NewJob(job_id, ONE_ECHO, [(0, 1)], None, known.id, 60, 60, 60)
        jobs.create(new, enqueue_commands(known.id, [(job_id, 0)]))
        last = "0-0"
        while (entry := jobs.load(job_id)) and entry.state not in TERMINAL_STATES:
            last = ([last] + [event_id for event_id, _ in events.read(job_id, last, 5000)])[-1]
        assert entry and entry.state == "succeeded"
        return time.perf_counter() - started

    return measure


@contextmanager
def _process(command: list[str], url: str) -> Iterator[None]:
    environ = {**os.environ, "REDIS_URL": url, "BATCHPOOL_LOG_LEVEL": "warning"}
    process = subprocess.Popen(command, env=environ, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        home = stack.enter_context(DataFolder(folder))
        program = choose_redis({k: v for k, v in os.environ.items() if k != "REDIS_URL"}).program
        assert program
        stack.enter_context(_process(server_command(program, home.redis, home.socket), ""))
        redis = connect(home.url, retries=20)
        redis.ping()
        rq = [sys.executable, "-m", "rq.cli", "worker", "-u", home.url, "-S", "json", "--quiet"]
        stack.enter_context(_process([*rq, "-w", "rq.worker.Worker", "fork"], home.url))
        stack.enter_context(_process([*rq, "-w", "rq.worker.SimpleWorker", "simple"], home.url))
        stack.enter_context(_process([sys.executable, "-m", "batchpool.worker"], home.url))
        while not Presence(redis).classes():
            time.sleep(0.05)
        shapes = {
            "fork per job (RQ Worker)": _rq_latency(redis, "fork"),
            "in-process (RQ SimpleWorker)": _rq_latency(redis, "simple"),
            "warm runner (ours)": _our_latency(redis),
        }
        times: dict[str, list[float]] = {name: [] for name in shapes}
        for measure in shapes.values():
            measure()
        for _ in range(rounds):
            for name in random.sample(list(shapes), len(shapes)):
                times[name] += [shapes[name]() for _ in range(PER_ROUND)]
    reference = statistics.median(times["in-process (RQ SimpleWorker)"])
    for name, found in times.items():
        p50, p90 = statistics.median(found), statistics.quantiles(found, n=10)[-1]
        ratio = p50 / reference
        print(f"{name:30} p50 {p50 * 1e3:6.2f} ms  p90 {p90 * 1e3:6.2f} ms  x {ratio:.2f}")


if __name__ == "__main__":
    main()
