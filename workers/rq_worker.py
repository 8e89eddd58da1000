"""The worker's door to RQ: it pops batches with BLMOVE, and hands each to its supervisor.

RQ carries a batch here and no further. Who owns it, how it ends and when it is run again stands in
the ledger, so RQ's registries, results, retries and its command channel are left out.
"""

import logging
import os
import socket
import sys
import time
from collections.abc import Callable
from typing import Any

import psutil
from redis import Redis
from redis.exceptions import RedisError
from rq import Queue, Worker
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.worker import WorkerStatus

from workers.cpus import usable_cpus
from workers.ledger import keys
from workers.ledger.connection import UNREACHABLE, passes
from workers.ledger.killpoints import reach
from workers.ledger.ownership import Ownership
from workers.ledger.presence import Presence
from workers.ledger.recovery import Recovery
from workers.runtime import gil_enabled, python_minor
from workers.settings import WorkerSettings
from workers.supervisor import Supervisor

FUNCTION = "workers.rq_worker.run_batch"
"""The only function that a job in our queues may name."""
WORKER_TTL_S = 20
BEAT_EVERY_S = 2.0
CLASS_EVERY_S = 60.0
REFUSED_PAUSE_S = 1.0

log = logging.getLogger("batchpool.worker")


def run_batch(job_id: str, batch: int) -> None:
    """What a batch's RQ job names; only this package's worker runs it, through its runner."""
    raise RuntimeError("a batch is run by 'python -m workers', not by a plain RQ worker")


class BatchWorker(Worker):
    """An RQ worker on the one queue of its class.

    Args:
        redis: for RQ; rides out outages.
        ledger: for the ledger; answers or fails within seconds.
    """

    def __init__(self, settings: WorkerSettings, redis: Redis, ledger: Redis) -> None:
        self._settings = settings
        self._ledger = ledger
        self._presence = Presence(ledger)
        self._started_ms = int(time.time() * 1000)
        self._running: str | None = None
        self._next_beat = self._next_class = 0.0
        self._me = psutil.Process()
        self._supervisor = Supervisor(
            Ownership(ledger, settings.lease_s),
            Recovery(ledger),
            self._owner_fields(),
            beat=self.heartbeat,
            draining=lambda: self._stop_requested,
            grace_s=settings.grace_s,
        )
        self._class = self._supervisor.describe()
        super().__init__(
            [
                Queue(
                    f"{keys.QUEUE}{self._class['id']}", connection=redis, serializer=JSONSerializer
                )
            ],
            name=settings.name,
            connection=redis,
            serializer=JSONSerializer,
            worker_ttl=WORKER_TTL_S,
            log_job_description=False,
        )

    def dequeue_job_and_maintain_ttl(
        self, timeout: int | None, max_idle_time: int | None = None
    ) -> tuple[Job, Queue] | None:
        """RQ's own, but it waits for a Redis that is full too, not only for one that is away."""
        level = logging.WARNING
        while True:
            try:
                return super().dequeue_job_and_maintain_ttl(timeout, max_idle_time)
            except RedisError as error:
                if not passes(error):
                    raise
                log.log(level, "Redis gives out no batches: %s", error)
                level = logging.DEBUG
                time.sleep(REFUSED_PAUSE_S)

    def execute_job(self, job: Job, queue: Queue) -> None:
        reach("after pop")
        self.set_state(WorkerStatus.BUSY)
        try:
            if order := _read_order(job):
                self._execute(*order, taken=lambda: self._forget(job, queue))
            else:
                log.error("refused the RQ job %s: it is no batch", job.id)
                self._forget(job, queue)
        finally:
            self._running = None

    def _execute(self, job_id: str, batch: int, taken: Callable[[], None]) -> None:
        self._running = f"{job_id}/{batch}"
        started = time.monotonic()
        try:
            how = self._supervisor.run(job_id, batch, taken)
        except UNREACHABLE as error:
            # Whether it was claimed or not, the reconciler finds it: by its lease, or as missing.
            how = f"not taken ({error})"
        level = logging.DEBUG if how == "ended" else logging.INFO
        log.log(level, "batch %s: %s after %.3f s", self._running, how, time.monotonic() - started)

    def _forget(self, job: Job, queue: Queue) -> None:
        # The ledger has it now. All copies: one may be left of a worker that died.
        try:
            with self.connection.pipeline(transaction=False) as pipe:
                pipe.lrem(queue.intermediate_queue_key, 0, job.id)
                pipe.delete(job.key)
                pipe.execute()
        except RedisError as error:
            log.warning("left the RQ job %s behind: %s", job.id, error)

    def heartbeat(self, timeout: int | None = None, pipeline: Any = None) -> None:
        """Say that we live, to RQ and to the service, at most every `BEAT_EVERY_S`."""
        now = time.monotonic()
        if now < self._next_beat:
            return
        self._next_beat = now + BEAT_EVERY_S
        try:
            # Over the ledger's client: RQ's own waits for a Redis that is away, and so would we.
            with self._ledger.pipeline(transaction=False) as pipe:
                super().heartbeat(timeout, pipe)
                pipe.execute()
            self._presence.announce(self._describe(), WORKER_TTL_S)
            if now >= self._next_class:
                self._presence.announce_class(self._class)
                self._next_class = now + CLASS_EVERY_S
        except RedisError as error:
            log.debug("no heartbeat: %s", error)

    def _owner_fields(self) -> dict[str, Any]:
        return {
            "worker": self._settings.name,
            "host": socket.gethostname(),
            "ppid": os.getpid(),
            "python": python_minor(),
            "gil": gil_enabled(),
        }

    def _describe(self) -> dict[str, Any]:
        state = "draining" if self._stop_requested else "busy" if self._running else "idle"
        return {
            "name": self._settings.name,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "python": sys.version.split()[0],
            "gil": gil_enabled(),
            "cpus": usable_cpus(),
            "class": self._class["id"],
            "state": state,
            "batch": self._running,
            "runner_pid": self._supervisor.runner_pid,
            "warm": [],
            "rss_bytes": self._me.memory_info().rss,
            "started_ms": self._started_ms,
        }

    def register_death(self) -> None:
        self._supervisor.close()
        try:
            self._presence.leave(self._settings.name)
            super().register_death()  # type: ignore[no-untyped-call]
        except UNREACHABLE as error:
            # Not waited for: what Redis knows of us runs out by itself.
            log.debug("left without a word: %s", error)

    @property
    def was_told_to_stop(self) -> bool:
        return self._shutdown_requested_date is not None

    def set_state(self, state: str, pipeline: Any = None) -> None:
        # Not written: the ledger says what runs, and this would be a round trip per change.
        self._state = state

    def set_shutdown_requested_date(self) -> None:
        """Not written: it happens in the signal handler, which must not wait for Redis."""

    def subscribe(self) -> None:
        """No command channel: a cancel stands in the ledger, and a stop comes as a signal."""

    def unsubscribe(self) -> None:
        """Nothing was subscribed."""

    def check_for_suspension(self, burst: bool) -> None:
        """`rq suspend` is not for these queues, and asking would be a round trip per batch."""

    def run_maintenance_tasks(self) -> None:
        """The reconciler does this from the ledger; RQ's registries stay empty."""


def _read_order(job: Job) -> tuple[str, int] | None:
    try:
        job_id, batch = job.args
        if job.func_name == FUNCTION and isinstance(job_id, str) and isinstance(batch, int):
            return job_id, batch
    except Exception as error:  # whatever somebody put into Redis, RQ's reader may stumble over
        log.debug("unreadable RQ job: %s", error)
    return None


def serve(settings: WorkerSettings, connect: Callable[..., Redis]) -> None:
    """Work until told to stop; start over should RQ's loop end for another reason."""
    while True:
        redis = connect(settings.redis_url, socket_timeout_s=WORKER_TTL_S, retries=60)
        ledger = connect(settings.redis_url, socket_timeout_s=1.5)
        worker = BatchWorker(settings, redis, ledger)
        worker.work(logging_level="WARNING")
        if worker.was_told_to_stop:
            return
        log.error("the worker's loop ended unasked; starting over")
        time.sleep(1.0)
