"""What the RQ jobs in our queues may ask of a worker: three things, and nothing else."""

import logging
from typing import NamedTuple

from rq.job import Job

from workers.ledger.reservations import Seat

log = logging.getLogger("batchpool.worker")


class RunBatch(NamedTuple):
    """Claim this batch and see it through."""

    job_id: str
    batch: int


class Reserve(NamedTuple):
    """Take this seat, if it is still wanted."""

    seat: Seat


class Release(NamedTuple):
    """Leave this seat; who has another one stays where it is."""

    seat: Seat


def read_message(job: Job) -> RunBatch | Reserve | Release | None:
    """What an RQ job says; None for what is no message of ours."""
    try:
        match job.func_name, list(job.args):
            case "workers.rq_worker.run_batch", [str(job_id), int(batch)]:
                return RunBatch(job_id, batch)
            case "workers.rq_worker.reserve", [str(comparison_id), int(slot), str(nonce)]:
                return Reserve(Seat(comparison_id, slot, nonce))
            case "workers.rq_worker.release", [str(comparison_id), int(slot), str(nonce)]:
                return Release(Seat(comparison_id, slot, nonce))
    except Exception as error:  # whatever somebody put into Redis, RQ's reader may stumble over
        log.debug("unreadable RQ job: %s", error)
    return None
