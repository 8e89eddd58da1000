"""The failures of a job, grouped by their cause."""

from itertools import islice
from typing import Final

from batchpool.api.context import ApiContext
from batchpool.api.problems import TooManyDownloads
from batchpool.jobs.failures import FAILURES, MOST_READ, show_failures
from batchpool.json_value import JsonObject
from batchpool.ledger.values.job_entries import JobEntry

FEW: Final = 1000
"""Failures that are read without taking the place of a download."""


def load_failures(context: ApiContext, job: JobEntry) -> JsonObject:
    """The failures as `GET /v1/jobs/{id}/errors` shows them.

    Raises:
        TooManyDownloads: they are many, and too many other jobs are read.
    """
    total = sum(batch.tally.counts.get(state, 0) for batch in job.batches for state in FAILURES)
    with context.downloads.acquired(total > FEW) as has_place:
        if total > FEW and not has_place:
            raise TooManyDownloads(context.settings.max_downloads)
        records = islice(context.records.ran(job, FAILURES), MOST_READ) if total else ()
        return show_failures(records, total)
