"""Say why a job does not run, or not all of it, and what lets it go on; pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from batchpool.jobs.fleet import Fleet
from batchpool.json_value import JsonValue
from batchpool.ledger.keys import base_class
from batchpool.ledger.values.announcements import LiveWorker
from batchpool.ledger.values.job_entries import BatchEntry, JobEntry
from batchpool.model import TERMINAL_STATES

WaitingCode = Literal["no_worker", "queue", "reserved", "parked"]


@dataclass(frozen=True)
class WaitingFor(JsonValue):
    """What a job waits for: a code for programs, sentences for people."""

    code: WaitingCode
    text: str


def waiting_for(job: JobEntry, load_fleet: Callable[[], Fleet]) -> WaitingFor | None:
    """What a job waits for; None if it has ended, or all of it that is not parked goes on.

    Args:
        load_fleet: called only for a job that has not ended.
    """
    if job.state in TERMINAL_STATES:
        return None
    parked = [batch for batch in job.batches if batch.state == "parked"]
    if parked:
        return WaitingFor("parked", _parked_text(job, parked))
    running = [batch for batch in job.batches if batch.state == "running"]
    queued = [batch for batch in job.batches if batch.state == "queued"]
    workers = load_fleet().workers
    if running:
        return _silent(running, workers)
    return _queued(queued, workers) if queued else None


def _parked_text(job: JobEntry, parked: Sequence[BatchEntry]) -> str:
    count = len(parked)
    what = "This job is parked" if count == len(job.batches) else f"Batches are parked: {count:,}"
    reason = parked[0].parked or "no live worker can run it"
    return f"{what}: {reason}. It goes on by itself when a worker comes that can run it."


def _silent(running: Sequence[BatchEntry], workers: Sequence[LiveWorker]) -> WaitingFor | None:
    """A batch that runs is not waited for, unless each worker that has one is gone."""
    live = {worker.name for worker in workers}
    owners = [batch.epochs[-1]["worker"] for batch in running if batch.epochs]
    if not owners or live.intersection(owners):
        return None
    names = owners[0] if len(set(owners)) == 1 else f"{owners[0]} and others"
    return WaitingFor(
        "no_worker",
        f"No sign of life from worker {names}. What it has not recorded goes to another worker by "
        "itself, in some seconds.",
    )


def _queued(queued: Sequence[BatchEntry], workers: Sequence[LiveWorker]) -> WaitingFor:
    taking = [worker for worker in workers if worker.state != "draining"]
    if not taking:
        return WaitingFor(
            "no_worker", "No worker is here. It starts by itself when one comes: batchpool worker"
        )
    wanted = {base_class(batch.queue) for batch in queued}
    able = [worker for worker in taking if base_class(worker.class_id) in wanted]
    if not able:
        return WaitingFor(
            "no_worker",
            "The workers that could run it have left. It goes to others that can, or is parked "
            "until such a worker comes.",
        )
    free = [worker for worker in able if worker.reserved is None]
    if not free:
        ids = sorted({worker.reserved.comparison for worker in able if worker.reserved})
        compared = f"comparison {ids[0]}" if len(ids) == 1 else "comparisons"
        return WaitingFor(
            "reserved",
            f"{_all(len(able))} reserved for {compared}. It starts by itself when that has ended.",
        )
    if any(worker.state == "idle" for worker in free):
        return WaitingFor("queue", "A worker is free and is about to take it.")
    return WaitingFor(
        "queue",
        f"{_all(len(free))} busy with other batches. It starts by itself when one is free.",
    )


def _all(count: int) -> str:
    if count == 1:
        return "The one worker that can run it is"
    return f"{'Both' if count == 2 else f'All {count:,}'} workers that can run it are"
