"""What precedes the spans of a lane: waiting in the queue, and the start-up of what runs them."""

from collections.abc import Sequence

from batchpool.jobs.timeline.job_spans import OneEpoch
from batchpool.jobs.timeline.tracks import Lane
from batchpool.ledger.values.job_entries import JobEntry


def queue_waits(job: JobEntry, epochs: Sequence[OneEpoch], lane: Lane) -> list[list[float]]:
    """[from, to] of the wait in the queue of the first epoch that ran something in the lane."""
    batch_index, epoch = min(
        (epochs[claim] for claim in lane.track.claims),
        key=lambda each: job.batches[each.batch].epochs[each.epoch - 1]["started_ms"],
    )
    ownerships = job.batches[batch_index].epochs
    before_ms = ownerships[epoch - 2]["ended_ms"] if epoch > 1 else None
    since_ms = job.submitted_ms if before_ms is None else before_ms
    return [[_since_submitted(job, at) for at in (since_ms, ownerships[epoch - 1]["started_ms"])]]


def start_ups(
    job: JobEntry, epochs: Sequence[OneEpoch], lane: Lane, least_ns: int
) -> list[list[float]]:
    """[from, to] of the start-ups of the backend for the batches of a lane, once these have ended.

    Args:
        least_ns: shorter ones are left out.
    """
    if lane.number > 0:
        # What shares a place was started once for all of its lanes.
        return []
    found = []
    for batch_index, epoch in (epochs[claim] for claim in lane.track.claims):
        batch = job.batches[batch_index]
        phases = batch.report.get("phases")
        # The report is that of the last epoch.
        if phases is None or epoch < len(batch.epochs):
            continue
        started = _since_submitted(job, batch.epochs[epoch - 1]["started_ms"])
        if phases["ready_s"] - phases["begin_s"] >= least_ns / 1e9:
            found.append([started + phases["begin_s"], started + phases["ready_s"]])
    return sorted(found)


def _since_submitted(job: JobEntry, at_ms: int) -> float:
    return (at_ms - job.submitted_ms) / 1000
