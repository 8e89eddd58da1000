"""`python -m benchmarks.redis_costs`: what leases, blocks and batches cost one Redis, in counts.

A Valkey of its own that syncs every write, on a Unix socket; the steps are the ledger's own, as a
worker, the API and the reconciler take them. Counts are exact on a busy machine too; times are CPU
time of the server, which serves nobody else meanwhile.
"""

import json
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, closing
from itertools import count, islice
from typing import NamedTuple

from redis import Redis

from batchpool.jobs.aggregation import show_job
from batchpool.ledger.connection import connect
from batchpool.ledger.jobs import Jobs
from batchpool.ledger.ownership import Ending, Ownership
from batchpool.queue.rq_queue import pop
from batchpool.reconciler.reconciler import Reconciler
from batchpool.runner.record_writer import BLOCK_RECORDS, FLUSH_AFTER_S
from batchpool.settings import ReconcilerSettings
from benchmarks.redis_meter import COST_HEAD, Costs, Meter, Usage, figure
from benchmarks.redis_servers import redis_server
from benchmarks.simulated_workers import (
    CLASS,
    Batch,
    SimulatedWorker,
    announce_worker,
    claim,
    create_job,
)

_LEASES = (10, 100, 1_000)
_BEATS = 20
_RECORDS = 10
"""Items that a simulated worker ends between two flushes."""
_BLOCKS = (1, 10, 100, 1_000, BLOCK_RECORDS)
_LIVES = 150
_SIZE = 100
"""Items of a batch."""
_BATCHES = (1, 10, 100, 1_000, 10_000)
_ENDED = Ending("succeeded", {"effective_concurrency": 4, "startup_s": 0.01, "wall_s": 1.5})
_ITEMS = 100_000_000
_TIMES_HEAD = (
    "batches",
    "create",
    "read",
    "list",
    "reconciler's pass",
    "claim and end of one",
    "last end",
    "cancel",
    "delete",
    "API, to show it",
    "reconciler itself",
)
_BYTES_HEAD = (
    "batches",
    "written by create",
    "sent for a read",
    "sent for a pass",
    "written by cancel",
    "memory, queued",
    "more once ended",
)


def lease_costs(url: str, leases: int, records: int, beats: int = _BEATS) -> tuple[Costs, float]:
    """Costs of one worker for a second, and the share of the pace that this machine kept.

    Args:
        records: that it writes in each flush; 0 for a worker that writes none.
    """
    with connect(url) as redis, ExitStack() as stack:
        redis.flushall()
        meter = Meter(redis)
        create_job(redis, "leases", leases, (2 * beats + 1) * max(1, records))
        workers = [
            stack.enter_context(closing(SimulatedWorker(url, "leases", number)))
            for number in range(leases)
        ]
        # The server has all scripts from now on.
        workers[0].beat(0, records)
        took_s: list[float] = []

        def work() -> None:
            started = time.monotonic()
            threads = [
                threading.Thread(target=worker.run, args=(beats, records)) for worker in workers
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            took_s.append(time.monotonic() - started)

        costs = meter.costs(work)
    seconds = beats * FLUSH_AFTER_S
    return costs.per(leases * seconds), min(1.0, seconds / took_s[0])


def block_costs(redis: Redis, records: int, blocks: int) -> Costs:
    """Costs of a record in blocks of `records`."""
    redis.flushall()
    create_job(redis, "blocks", 1, (2 * blocks + 1) * records)
    batch = Batch(Ownership(redis), "blocks", 0)
    batch.flush(records)

    def work() -> None:
        for _ in range(blocks):
            batch.flush(records)

    return Meter(redis).costs(work).per(blocks * records)


def life_costs(redis: Redis, batches: int) -> Costs:
    """Costs of a batch from the queue to its end, by one block."""
    redis.flushall()
    create_job(redis, "lives", 2 * batches + 2, _SIZE)
    ownership, numbers = Ownership(redis), count()

    def work(times: int = batches) -> None:
        for number in islice(numbers, times):
            assert pop(redis, CLASS, 1)
            Batch(ownership, "lives", number).flush(_SIZE, _ENDED)

    work(1)
    return Meter(redis).costs(work).per(batches)


class JobCosts(NamedTuple):
    """Costs of calls about a job with so many batches.

    Args:
        create: the step that writes it and queues its batches.
        read: the job as the API reads it for `GET /v1/jobs/{id}`.
        listed: the same for a list.
        scan: a pass of the reconciler while all of its batches wait.
        claim_and_end: both steps of a batch that is not the last one.
        last_end: the end of the last one, which ends the job.
        cancel, delete: of the job, all of its batches waiting or ended.
        shown_cpu_s, scanned_cpu_s: CPU seconds of the API and of the reconciler themselves.
    """

    batches: int
    create: Usage
    read: Usage
    listed: Usage
    scan: Usage
    claim_and_end: Usage
    last_end: Usage
    cancel: Usage
    delete: Usage
    shown_cpu_s: float
    scanned_cpu_s: float


def job_costs(redis: Redis, batches: int) -> JobCosts:
    """Costs of jobs with so many batches; of few batches several jobs are measured."""
    redis.flushall()
    announce_worker(redis)
    jobs, meter, ownership = Jobs(redis), Meter(redis), Ownership(redis)
    names = [f"{number:024x}" for number in range(max(1, 100 // batches))]
    reconciler = Reconciler(redis, ReconcilerSettings.from_env({}))
    used_s: list[float] = []

    def each(step: Callable[[str], object], times: Sequence[str] = names) -> Usage:
        def work() -> None:
            started = time.process_time()
            for name in times:
                step(name)
            used_s.append((time.process_time() - started) / len(times))

        return meter.measure(work).per(len(times))

    def end(name: str, numbers: Iterable[int]) -> None:
        for number in numbers:
            assert ownership.end(claim(ownership, name, number), _ENDED)

    create = each(lambda name: create_job(redis, name, batches, _SIZE))
    read = each(lambda name: _show(jobs, name))
    listed = each(lambda name: jobs.load_many([name]))
    # The first pass also sweeps, and reads what the later ones know.
    reconciler.run_pass()
    scan = each(lambda _: reconciler.run_pass(), names[:1])
    # Syncs are not what is counted here, and most of the time that it would take.
    redis.config_set("appendfsync", "no")
    all_but_last = each(lambda name: end(name, range(batches - 1)))
    redis.config_set("appendfsync", "always")
    last_end = each(lambda name: end(name, [batches - 1]))
    delete = each(jobs.delete)
    each(lambda name: create_job(redis, name, batches, _SIZE))
    cancel = each(jobs.cancel)
    return JobCosts(
        batches=batches,
        create=create,
        read=read,
        listed=listed,
        scan=scan,
        claim_and_end=all_but_last.per(max(1, batches - 1)),
        last_end=last_end,
        cancel=cancel,
        delete=delete,
        shown_cpu_s=used_s[1],
        scanned_cpu_s=used_s[3],
    )


def _show(jobs: Jobs, job_id: str) -> str:
    found = jobs.load_snapshot(job_id)
    assert found
    return json.dumps(show_job(found.job, found.now_ms))


def _lease_rows(url: str) -> Iterable[Sequence[str]]:
    for leases in _LEASES:
        for records in (0, _RECORDS):
            costs, pace = lease_costs(url, leases, records)
            used = f"{costs.use.cpu_s * leases:.0%}"
            yield (f"{leases:,}", str(records), *costs.cells(), used, f"{pace:.0%}")


def _job_times(found: JobCosts) -> Sequence[str]:
    steps = (found.create, found.read, found.listed, found.scan, found.claim_and_end)
    ends = (found.last_end, found.cancel, found.delete)
    seconds = [each.cpu_s for each in (*steps, *ends)] + [found.shown_cpu_s, found.scanned_cpu_s]
    return (f"{found.batches:,}", *(figure(max(0.0, each) * 1000) for each in seconds))


def _job_bytes(found: JobCosts) -> Sequence[str]:
    batches = found.batches
    shares = (
        found.create.written,
        found.read.sent,
        found.scan.sent,
        found.cancel.written,
        found.create.memory,
    )
    ended = found.claim_and_end.memory * (batches - 1) + found.last_end.memory
    return (f"{batches:,}", *(figure(each / batches) for each in (*shares, ended)))


def _extrapolated(batch_bytes: float, item_bytes: float, size: int, block: int) -> str:
    """The memory of `_ITEMS` items, from that of a batch of 100 and that of each further item."""
    batch = batch_bytes + (size - _SIZE) * item_bytes
    return (
        f"- extrapolated, not measured: {_ITEMS:,} items in batches of {size:,} and blocks of "
        f"{block:,} take {_ITEMS / size * batch / 1e9:.1f} GB"
    )


def _show_table(title: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    print(f"\n### {title}\n")
    print(f"| {' | '.join(head)} |\n|{' ---: |' * len(head)}")
    for row in rows:
        print(f"| {' | '.join(row)} |", flush=True)


def main() -> None:
    with redis_server(durable=True) as url, connect(url) as redis:
        # The server has all scripts from now on.
        job_costs(redis, 2)
        items = {size: block_costs(redis, size, max(40, 2_000 // size)) for size in _BLOCKS}
        rows = [(f"{n:,}", *each.cells(), figure(each.use.memory)) for n, each in items.items()]
        _show_table("An item, by the size of its block", ("items", *COST_HEAD, "memory B"), rows)
        life = life_costs(redis, _LIVES)
        _show_table("A batch of 100 items: pop, claim, last block", COST_HEAD, [life.cells()])
        jobs = [job_costs(redis, batches) for batches in _BATCHES]
        _show_table("A job by its batches: CPU ms", _TIMES_HEAD, map(_job_times, jobs))
        _show_table("A job by its batches: bytes per batch", _BYTES_HEAD, map(_job_bytes, jobs))
        large = jobs[-1]
        batch = (large.create.memory + large.last_end.memory) / large.batches + life.use.memory
        print(
            f"\n- a batch of {_SIZE} items in one block takes {batch:,.0f} bytes of memory, ended"
        )
        for size, block in ((_SIZE, _SIZE), (10_000, 10), (10_000, BLOCK_RECORDS)):
            print(_extrapolated(batch, items[block].use.memory, size, block))
        # Last: Redis is slow to free the memory of a thousand connections.
        head = ("leases", "records a flush", *COST_HEAD, "CPU of all", "pace kept")
        _show_table("A busy worker, per second", head, _lease_rows(url))


if __name__ == "__main__":
    main()
