"""Forecast how long a planned job will run, by a job like it that has ended."""

from collections.abc import Sequence
from math import ceil

from batchpool.ledger.jobs import Jobs
from batchpool.ledger.values.job_entries import JobEntry
from batchpool.ledger.values.job_spec import JobSpec

LOOKED_AT = 200
"""Of so many jobs, the newest ones, one may be like it."""


def jobs_like(jobs: Jobs, specs: Sequence[JobSpec]) -> list[JobEntry | None]:
    """For each spec the newest job that ran the same task in the same way, and succeeded."""
    ids = jobs.page(LOOKED_AT)
    known = [
        (_way(header.spec), job_id)
        for job_id, header in zip(ids, jobs.load_headers(ids), strict=True)
        if header and header.state == "succeeded"
    ]
    found = [next((id_ for way, id_ in known if way == _way(spec)), None) for spec in specs]
    return [jobs.load(job_id) if job_id else None for job_id in found]


def _way(spec: JobSpec) -> Sequence[object]:
    return spec.task, spec.params, spec.backend, spec.concurrency, spec.pool, spec.chunksize


def forecast_s(ranges: Sequence[tuple[int, int]], like: JobEntry, workers: int) -> float | None:
    """Seconds from the first claim to the end, by the time that items of `like` took; pure.

    Args:
        ranges: (first index, count) of the batches.
        workers: how many take batches at once; with none, one is counted.
    """
    ended = [batch for batch in like.batches if batch.started_ms and batch.finished_ms]
    items = sum(batch.count for batch in ended)
    if not items:
        return None
    spent_ms = sum((batch.finished_ms or 0) - (batch.started_ms or 0) for batch in ended)
    largest = max(count for _, count in ranges)
    rounds = ceil(len(ranges) / max(1, workers))
    return spent_ms / 1000 / items * largest * rounds
