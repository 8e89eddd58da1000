"""What the RQ jobs in our queues may ask of a worker: three things, and nothing else."""

import logging
import re
from typing import Any, NamedTuple

from redis import Redis
from rq.job import Job

from batchpool.ledger.reservations import WorkerSlot

_BATCH = re.compile(r"([0-9a-f]{24})-([0-9]{1,9})")

log = logging.getLogger("batchpool.worker")


class RunBatch(NamedTuple):
    """Claim this batch and see it through."""

    job_id: str
    batch: int


class Reserve(NamedTuple):
    """Take this seat, if it is still wanted."""

    seat: WorkerSlot


class Release(NamedTuple):
    """Leave this seat; who has another one stays where it is."""

    seat: WorkerSlot


class Message(Job):
    """An RQ job as a worker gets it; the id of a batch's says all, so it is not read from Redis."""

    @classmethod
    def fetch(cls, id: str, connection: Redis | None = None, serializer: Any = None) -> Job:
        if _BATCH.fullmatch(id):
            return cls(id, connection=connection, serializer=serializer)
        return super().fetch(id, connection, serializer)


def read_message(job: Job) -> RunBatch | Reserve | Release | None:
    """What an RQ job says; None for what is no message of ours."""
    if named := _BATCH.fullmatch(job.id):
        return RunBatch(named[1], int(named[2]))
    try:
        match job.func_name, list(job.args):
            case "batchpool.worker.rq_worker.reserve", [str(comparison_id), int(slot), str(nonce)]:
                return Reserve(WorkerSlot(comparison_id, slot, nonce))
            case "batchpool.worker.rq_worker.release", [str(comparison_id), int(slot), str(nonce)]:
                return Release(WorkerSlot(comparison_id, slot, nonce))
    except Exception as error:  # whatever somebody put into Redis, RQ's reader may stumble over
        log.debug("unreadable RQ job: %s", error)
    return None
