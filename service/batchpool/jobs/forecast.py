"""Forecast how long a planned job will run, by a job like it that has ended."""

from collections.abc import Sequence
from math import ceil

from batchpool.jobs.planning import JobPlan
from batchpool.ledger.jobs import Jobs
from batchpool.ledger.values.job_entries import JobEntry
from batchpool.ledger.values.job_spec import JobSpec

LOOKED_AT = 200
"""Of so many jobs, the newest ones, one may be like it."""


def job_like(jobs: Jobs, spec: JobSpec) -> JobEntry | None:
    """The newest job that ran the same task in the same way, and succeeded."""
    ids = jobs.page(LOOKED_AT)
    for job_id, header in zip(ids, jobs.load_headers(ids), strict=True):
        if header and header.state == "succeeded" and _way(header.spec) == _way(spec):
            return jobs.load(job_id)
    return None


def _way(spec: JobSpec) -> Sequence[object]:
    return spec.task, spec.params, spec.backend, spec.concurrency, spec.pool, spec.chunksize


def forecast_s(plan: JobPlan, like: JobEntry, workers: int) -> float | None:
    """Seconds from the first claim to the end, by the time that items of `like` took; pure.

    Args:
        workers: how many take batches at once; with none, one is counted.
    """
    ended = [batch for batch in like.batches if batch.started_ms and batch.finished_ms]
    items = sum(batch.count for batch in ended)
    if not items:
        return None
    spent_ms = sum((batch.finished_ms or 0) - (batch.started_ms or 0) for batch in ended)
    largest = max(count for _, count in plan.ranges)
    rounds = ceil(len(plan.ranges) / max(1, workers))
    return spent_ms / 1000 / items * largest * rounds
