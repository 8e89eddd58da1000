"""Messages to workers, encoded as RQ jobs and decoded in this module alone.

A batch is an id in a queue and nothing else. A reservation goes through the queue of a class to any
worker of it, a release to the worker that has the slot.
"""

import logging
import re
from dataclasses import dataclass
from typing import Any, NamedTuple

from redis import Redis
from redis.exceptions import ResponseError
from rq.job import Job

from batchpool.ledger.broken import is_about_data
from batchpool.ledger.ownership import Claim
from batchpool.ledger.reservations import WorkerSlot

# Names of functions.
RESERVE = "batchpool.worker.rq_worker.reserve"
RELEASE = "batchpool.worker.rq_worker.release"

_BATCH = re.compile(r"([0-9a-f]{24})-([0-9]{1,9})")
_OF_A_SLOT = "_"
_SLOT_MESSAGE = re.compile(r"[0-9A-Za-z-]{1,64}_[0-9]{1,9}_(reserve|release)")

log = logging.getLogger("batchpool.worker")


class RunBatch(NamedTuple):
    """Claim this batch and run it to its end."""

    job_id: str
    batch: int


class Reserve(NamedTuple):
    """Take this slot, if it is still wanted."""

    worker_slot: WorkerSlot


class Release(NamedTuple):
    """Leave this slot; a worker that has another one keeps it."""

    worker_slot: WorkerSlot


Message = RunBatch | Reserve | Release


@dataclass(frozen=True)
class Envelope:
    """The id, function and arguments of an RQ job."""

    rq_id: str
    function: str
    args: list[str | int]


def rq_id(job_id: str, batch: int) -> str:
    """The id of the RQ job that carries a batch."""
    return f"{job_id}-{batch}"


def reserve_id(comparison_id: str, slot: int) -> str:
    """The id of the RQ job that offers a slot, whatever its nonce."""
    return f"{comparison_id}{_OF_A_SLOT}{slot}{_OF_A_SLOT}reserve"


def is_about_a_slot(name: str) -> bool:
    """Whether the id is that of a reservation or release."""
    return bool(_SLOT_MESSAGE.fullmatch(name))


def is_ours(name: str) -> bool:
    """Whether a message with this id can have been written by `encode`."""
    return bool(_BATCH.fullmatch(name)) or is_about_a_slot(name)


def encode(message: Reserve | Release) -> Envelope:
    """Encode a message about a slot as an RQ job."""
    match message:
        case Reserve(of):
            return Envelope(reserve_id(of.comparison_id, of.slot), RESERVE, list(of))
        case Release(of):
            name = f"{of.comparison_id}{_OF_A_SLOT}{of.slot}{_OF_A_SLOT}release"
            return Envelope(name, RELEASE, list(of))


class MessageJob(Job):
    """An RQ job as a worker gets it: only that of a slot is read from Redis.

    The id of a batch's says all, and what has another id is not ours, whatever is stored for it.
    `claim` is that of its batch, if it was claimed as it was popped, and when (monotonic ns).
    """

    claim: tuple[Claim, int] | None = None

    @classmethod
    def fetch(cls, id: str, connection: Redis | None = None, serializer: Any = None) -> Job:
        if _BATCH.fullmatch(id):
            return BatchJob(id)
        if not is_about_a_slot(id):
            return cls(id, connection=connection, serializer=serializer)
        try:
            return super().fetch(id, connection, serializer)
        except ResponseError as error:
            if not is_about_data(error):
                raise
            return cls(id, connection=connection, serializer=serializer)


class BatchJob(MessageJob):
    """The message of a batch, with no more than its id and origin.

    RQ's constructor sets fifty attributes and checks a serializer by a protocol: that takes as
    long as to read the claim of the batch, while its item waits.
    """

    def __init__(self, id: str) -> None:
        self._id = id
        self.origin = ""


def decode(job: Job) -> Message | None:
    """The message of an RQ job; None if it is not a batchpool message."""
    if named := _BATCH.fullmatch(job.id):
        return RunBatch(named[1], int(named[2]))
    try:
        function, args = job.func_name, list(job.args)
    except Exception as error:  # RQ's reader may raise anything on what others put into Redis
        log.debug("unreadable RQ job: %s", error)
        return None
    match args:
        case [str(comparison_id), int(slot), str(nonce)]:
            worker_slot = WorkerSlot(comparison_id, slot, nonce)
        case _:
            return None
    if function == RESERVE:
        return Reserve(worker_slot)
    return Release(worker_slot) if function == RELEASE else None
