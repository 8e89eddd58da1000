"""The worker's RQ loop: pops batches with BLMOVE and passes each to the supervisor.

RQ only delivers a batch. Its owner, its end and its re-runs are kept in the ledger, so RQ's
registries, results, retries and its command channel are left out.

A comparison's messages come the same way: `reserve` through the queue of the class, and from then
on batches, and at last `release`, through a queue that only the worker with the slot reads.
"""

import logging
import os
import socket
import sys
import time
from datetime import UTC, datetime
from typing import Any

import psutil
from redis import Redis
from redis.exceptions import RedisError
from rq import Queue, Worker
from rq.exceptions import NoSuchJobError, StopRequested
from rq.job import Job
from rq.serializers import JSONSerializer

from batchpool.ledger.connection import UNREACHABLE, is_temporary
from batchpool.ledger.failpoints import failpoint
from batchpool.ledger.ownership import Ownership
from batchpool.ledger.presence import Presence
from batchpool.ledger.recovery import Recovery
from batchpool.ledger.reservations import Reservations
from batchpool.ledger.values.announcements import LiveWorker, WorkerState
from batchpool.queue.messages import MessageJob, Release, Reserve, RunBatch, decode
from batchpool.queue.rq_queue import forget, queue_of, set_aside, unqueueing_commands
from batchpool.settings import WorkerSettings
from batchpool.system.cpus import usable_cpus
from batchpool.system.interpreter import gil_enabled
from batchpool.worker.class_announcement import ClassAnnouncement
from batchpool.worker.identity import holder_fields, worker_identity
from batchpool.worker.message_source import MessageSource
from batchpool.worker.next_claim import NextClaim
from batchpool.worker.reservation import Reservation
from batchpool.worker.supervisor import Supervisor

WORKER_TTL_S = 20
HEARTBEAT_EVERY_S = 2.0
REFUSED_PAUSE_S = 1.0
VERIFY_EVERY_S = 2
"""How often an idle worker verifies its reservation."""

log = logging.getLogger("batchpool.worker")


class BatchWorker(Worker):
    """An RQ worker on the one queue of its class.

    Args:
        redis: for RQ; rides out outages.
        ledger: for the ledger; answers or fails within seconds.
        waiting: for the wait for a message and the claim of its batch; does not retry.
    """

    def __init__(
        self, settings: WorkerSettings, redis: Redis, ledger: Redis, waiting: Redis
    ) -> None:
        self._settings = settings
        self._reloads = settings.reload == "on"
        self._ledger = ledger
        self._presence = Presence(ledger)
        self._started_ms = int(time.time() * 1000)
        self._running: str | None = None
        self._next_heartbeat = 0.0
        self._me = psutil.Process()
        self._supervisor = Supervisor(
            Ownership(ledger, settings.lease_s),
            Recovery(ledger),
            worker_identity(settings.name),
            heartbeat=self.heartbeat,
            draining=lambda: self._stop_requested,
            grace_s=settings.grace_s,
        )
        self._supervisor.runner.ready()
        self._class = ClassAnnouncement(self._presence, self._supervisor.runner.capabilities)
        self._source = MessageSource(
            redis,
            NextClaim(ledger, settings.lease_s),
            NextClaim(waiting, settings.lease_s),
            self._supervisor.owner_if_ready,
            codes=lambda: self._supervisor.runner.codes,
            stopping=lambda: self._stop_requested,
        )
        self._reservation = Reservation(Reservations(ledger), holder_fields(settings.name))
        self._reading = self._class_id
        super().__init__(
            [queue_of(redis, self._reading)],
            name=settings.name,
            connection=redis,
            serializer=JSONSerializer,
            job_class=MessageJob,
            worker_ttl=WORKER_TTL_S,
            log_job_description=False,
        )

    def dequeue_job_and_maintain_ttl(
        self, timeout: int | None, max_idle_time: int | None = None
    ) -> tuple[Job, Queue] | None:
        """RQ's method, which also waits while Redis is full; None once it is told to stop."""
        level = logging.WARNING
        while not self._stop_requested:
            self.heartbeat()
            looks = bool(self._reservation.worker_slot or self._reloads)
            wait_s = VERIFY_EVERY_S if looks else timeout or self.dequeue_timeout
            try:
                if found := self._take_message(wait_s, claims=not looks):
                    return found
                if looks:
                    self._reservation.verify()
            except NoSuchJobError:
                log.debug("a message about a slot was withdrawn")
            except ValueError as error:
                # It stays among what was popped, where the reconciler finds it.
                log.error("skipped an RQ message whose id cannot be one: %s", error)
            except RedisError as error:
                if not is_temporary(error) and "WRONGTYPE" not in str(error):
                    raise
                log.log(level, "cannot read batches from Redis: %s", error)
                level = logging.DEBUG
                time.sleep(REFUSED_PAUSE_S)
        return None

    def _take_message(self, wait_s: float, claims: bool) -> tuple[Job, Queue] | None:
        queue = self._ordered_queues[0]
        job = self._source.take(self._reading, wait_s, claims)
        if job is None or job.claim is None:
            # The code may have changed while this waited; a claim is checked when it is run.
            self.heartbeat()
        return (job, queue) if job else None

    def execute_job(self, job: Job, queue: Queue) -> None:
        failpoint("after pop")
        try:
            message = decode(job)
            if isinstance(message, RunBatch):
                self._execute(message, job)
                return
            if message is not None:
                self._handle_reservation(message)
            self._forget(job, is_ours=message is not None)
        finally:
            self._running = None

    def _handle_reservation(self, message: Reserve | Release) -> None:
        if isinstance(message, Release):
            self._reservation.release(message.worker_slot)
        elif not self._stop_requested:
            self._reservation.take(message.worker_slot)

    def _switch_queue(self) -> None:
        """Read the queue of this worker's current class, and announce it at once."""
        # What a comparison measures is not reloaded meanwhile.
        self._supervisor.runner.check_code(self._reloads and not self._reservation.worker_slot)
        if self._class.update(self._supervisor.runner.capabilities):
            # A comparison's slot is of the class that it began with.
            self._reservation.leave()
        if self._reading != self._class_id:
            self._reading = self._class_id
            # `queues` stays: RQ registers and removes this worker by it.
            self._ordered_queues = [queue_of(self.connection, self._reading)]
            self._next_heartbeat = 0.0

    @property
    def _class_id(self) -> str:
        return self._reservation.class_of(self._class.class_id)

    def _execute(self, message: RunBatch, job: Job) -> None:
        self._running = f"{message.job_id}/{message.batch}"
        started = time.monotonic()
        try:
            claimed = job.claim if isinstance(job, MessageJob) else None
            how = self._supervisor.run(*message, unqueueing_commands(job.origin, job.id), claimed)
        except UNREACHABLE as error:
            # Claimed or not, the reconciler finds it: by its lease, or as missing.
            how = f"not taken ({error})"
        level = logging.DEBUG if how == "ended" else logging.INFO
        log.log(level, "batch %s: %s after %.3f s", self._running, how, time.monotonic() - started)
        if how == "unreadable":
            # Else the claim took it out of the queue.
            self._forget(job)

    def _forget(self, job: Job, is_ours: bool = True) -> None:
        try:
            # Over the ledger's client: a batch must not wait for an unreachable Redis.
            if is_ours:
                forget(self._ledger, job.origin, [job.id])
            else:
                set_aside(self._ledger, job.origin, job.id)
        except RedisError as error:
            log.warning("left the RQ job %s behind: %s", job.id, error)

    def heartbeat(self, timeout: int | None = None, pipeline: Any = None) -> None:
        """Send a heartbeat to RQ and to the service, at most every `HEARTBEAT_EVERY_S`."""
        if self._running is None:
            self._switch_queue()
        now = time.monotonic()
        if now < self._next_heartbeat:
            return
        self._next_heartbeat = now + HEARTBEAT_EVERY_S
        try:
            # Over the ledger's client: RQ's own waits for an unreachable Redis, and so would we.
            with self._ledger.pipeline(transaction=False) as pipe:
                super().heartbeat(timeout, pipe)
                pipe.execute()
            self._class.announce_if_due(now)
            if not self._presence.announce(self._describe(), WORKER_TTL_S):
                # Redis was emptied, or the entry was broken.
                self._class.announce()
            self._class.forget_former()
        except RedisError as error:
            # Tried again before the next wait for a message, which takes longer.
            self._next_heartbeat = time.monotonic() + REFUSED_PAUSE_S / 2
            log.debug("no heartbeat: %s", error)

    def _describe(self) -> LiveWorker:
        return LiveWorker(
            name=self._settings.name,
            host=socket.gethostname(),
            pid=os.getpid(),
            python=sys.version.split()[0],
            gil=gil_enabled(),
            cpus=usable_cpus(),
            class_id=self._class_id,
            reserved=self._reservation.describe(),
            state=self._live_state,
            batch=self._running,
            runner_pid=self._supervisor.runner.pid,
            warm=self._supervisor.runner.idle_pools,
            rss_bytes=self._me.memory_info().rss,
            started_ms=self._started_ms,
        )

    @property
    def _live_state(self) -> WorkerState:
        if self._stop_requested:
            return "draining"
        return "busy" if self._running else "idle"

    def register_birth(self) -> None:
        # The name is ours: a killed worker cannot deregister, and
        # in a container that is started again the next one has its host name and its PID.
        self.connection.delete(self.key)
        super().register_birth()  # type: ignore[no-untyped-call]

    def register_death(self) -> None:
        self._supervisor.close()
        self._reservation.leave()
        try:
            self._presence.leave(self._settings.name)
            super().register_death()  # type: ignore[no-untyped-call]
            self._source.give_back()
        except RedisError as error:
            # Not waited for: what Redis stores about this worker expires.
            log.debug("could not deregister: %s", error)

    def _shutdown(self) -> None:
        """RQ's, in the signal handler; RQ raises out of all that a worker does that is not busy."""
        self._stop_requested = True
        if self._source.is_interruptible:
            raise StopRequested

    def request_force_stop(self, signum: int, frame: Any) -> None:
        """As RQ's, which logs first: a handler may have interrupted a line that is being logged."""
        first = self._shutdown_requested_date
        if first and (datetime.now(UTC) - first).total_seconds() >= 1:
            raise SystemExit

    @property
    def was_told_to_stop(self) -> bool:
        return self._shutdown_requested_date is not None

    def set_state(self, state: str, pipeline: Any = None) -> None:
        # Not written: the ledger says what runs, and this would be a round trip per change.
        self._state = state

    def set_shutdown_requested_date(self) -> None:
        """Not written: it happens in the signal handler, which must not wait for Redis."""

    def subscribe(self) -> None:
        """No command channel: a cancel is read from the ledger, and a stop comes as a signal."""

    def unsubscribe(self) -> None:
        """Nothing was subscribed."""

    def check_for_suspension(self, burst: bool) -> None:
        """`rq suspend` is not for these queues, and asking would be a round trip per batch."""

    def run_maintenance_tasks(self) -> None:
        """The reconciler does this from the ledger; RQ's registries stay empty."""
