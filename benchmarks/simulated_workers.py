"""Workers as one Redis sees them: claims, blocks of records, renewals and heartbeats, no tasks."""

import random
import time
from dataclasses import replace

from redis import Redis
from rq import Worker

from batchpool.ledger.connection import connect
from batchpool.ledger.jobs import Jobs
from batchpool.ledger.ownership import Claim, Ending, Ownership, make_block
from batchpool.ledger.presence import Presence
from batchpool.ledger.values.announcements import LiveWorker, TaskCapabilities, WorkerCapabilities
from batchpool.ledger.values.job_entries import NewJob, Owner, Tally
from batchpool.ledger.values.job_spec import ItemsSummary, JobSpec
from batchpool.model import ExecutionSite, Outcome
from batchpool.queue.messages import rq_id
from batchpool.queue.rq_queue import enqueue_commands, queue_of, unqueueing_commands
from batchpool.runner.record_writer import FLUSH_AFTER_S
from batchpool.worker.batch_deadlines import CHECK_EVERY_S
from batchpool.worker.rq_worker import HEARTBEAT_EVERY_S, WORKER_TTL_S

CLASS = "0123456789abcdef"
_OWNER = Owner(worker="worker-1", host="host-1", pid=2, ppid=1, python="3.14", gil=True)
_SITE = ExecutionSite(2, 1, 140_000_000_000_000, "batchpool-1", 0)
_HEARTBEATS = round(HEARTBEAT_EVERY_S / FLUSH_AFTER_S)
_RENEWALS = round(CHECK_EVERY_S / FLUSH_AFTER_S)


def new_job(job_id: str, batches: int, size: int) -> NewJob:
    """A job of `batches` batches of `size` numbers."""
    count = batches * size
    spec = JobSpec(
        task="echo",
        params={},
        count=count,
        items=ItemsSummary(count, "", []),
        backend="thread-pool",
        concurrency=4,
        batches=batches,
        timeout_s=86_400,
        queue_timeout_s=86_400,
    )
    ranges = [(at * size, size) for at in range(batches)]
    return NewJob(job_id, spec, ranges, None, CLASS, 86_400, 86_400, 86_400)


def create_job(redis: Redis, job_id: str, batches: int, size: int) -> None:
    """Write a job and queue its batches, as the API does."""
    queueing = enqueue_commands(CLASS, [(job_id, batch) for batch in range(batches)])
    Jobs(redis).create(new_job(job_id, batches, size), queueing)


def claim(ownership: Ownership, job_id: str, batch: int) -> Claim:
    """Claim a batch and take its message out of the queue, as a worker does."""
    unqueueing = unqueueing_commands(CLASS, rq_id(job_id, batch))
    found = ownership.claim(job_id, batch, _OWNER, unqueueing=unqueueing)
    assert isinstance(found, Claim), found
    return found


class Batch:
    """A claimed batch whose items are recorded in order, with values and times that vary."""

    def __init__(self, ownership: Ownership, job_id: str, number: int) -> None:
        self.ownership = ownership
        self.claim = claim(ownership, job_id, number)
        self._random = random.Random(number)
        self._next = self.claim.first
        self._blocks = 0

    def flush(self, records: int, ending: Ending | None = None) -> None:
        """Write a block of records; `ending` closes the batch with it."""
        self._blocks += 1
        made = [self._outcome(index) for index in range(self._next, self._next + records)]
        self._next += records
        block = make_block(self.claim, self._blocks, made, 0)
        done = self._next - self.claim.first
        tally = Tally({"succeeded": done}, 4, str(done), done * 1.1, done * 0.1, [2], 1)
        assert self.ownership.flush(self.claim, block, tally, ending) == "ok"

    def _outcome(self, index: int) -> Outcome:
        wall_ns = int(self._random.lognormvariate(14, 1))
        start_ns, cpu_ns = index * 250_000 + wall_ns % 1000, wall_ns // 10
        value = self._random.random()
        return Outcome(index, "succeeded", value, None, _SITE, start_ns, wall_ns, cpu_ns)


class SimulatedWorker:
    """A busy worker as Redis sees it: renewals, heartbeats of two kinds, and blocks of records."""

    def __init__(self, url: str, job_id: str, number: int) -> None:
        self._redis = connect(url)
        self._presence = Presence(self._redis)
        self._live = replace(_live_worker(), name=f"worker-{number}", batch=f"{job_id}/{number}")
        self._batch = Batch(Ownership(self._redis), job_id, number)
        queue = queue_of(self._redis, CLASS)
        self._rq = Worker(
            [queue],
            name=self._live.name,
            connection=self._redis,
            worker_ttl=WORKER_TTL_S,
            prepare_for_work=False,
        )

    def beat(self, number: int, records: int) -> None:
        """Do what is due in the beat `number`; there is one each `FLUSH_AFTER_S`."""
        if records:
            self._batch.flush(records)
        if number % _RENEWALS == 0:
            assert self._batch.ownership.renew(self._batch.claim).is_owner
        if number % _HEARTBEATS == 0:
            with self._redis.pipeline(transaction=False) as pipe:
                self._rq.heartbeat(None, pipe)
                pipe.execute()
            self._presence.announce(self._live, WORKER_TTL_S)

    def run(self, beats: int, records: int) -> None:
        """Do so many beats, in time if the machine is fast enough; each worker at its own times."""
        due = time.monotonic() + random.random() * FLUSH_AFTER_S
        first = random.randrange(_HEARTBEATS)
        for number in range(first, first + beats):
            self.beat(number, records)
            due += FLUSH_AFTER_S
            time.sleep(max(0.0, due - time.monotonic()))

    def close(self) -> None:
        """Close the connection."""
        self._redis.close()


def _live_worker() -> LiveWorker:
    return LiveWorker(
        name="worker-1",
        host="host-1",
        pid=1,
        python="3.14.0",
        gil=True,
        cpus=2.0,
        class_id=CLASS,
        state="busy",
        runner_pid=2,
        rss_bytes=40_000_000,
        started_ms=1_700_000_000_000,
    )


def announce_worker(redis: Redis) -> None:
    """Make a live worker and its class known, so that batches wait for it."""
    presence = Presence(redis)
    presence.announce(_live_worker(), 3600)
    task = TaskCapabilities(has_sync=True, has_async=False)
    presence.announce_class(
        WorkerCapabilities(
            id=CLASS,
            python="3.14",
            backends=("thread-pool",),
            start_methods=("spawn",),
            tasks={"echo": task},
        )
    )
