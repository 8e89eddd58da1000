"""Jobs as their API shows them, for views; what cannot be read is noted and left out."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from batchpool.api.context import ApiContext
from batchpool.comparisons.readability import show_readable
from batchpool.jobs.aggregation import show_job, show_summary
from batchpool.ledger import keys
from batchpool.ledger.values.job_entries import JobEntry
from batchpool.schemas.job_responses import Job, JobSummary

_ShownT = TypeVar("_ShownT")


def load_summaries(context: ApiContext, ids: Sequence[str]) -> list[JobSummary]:
    """The jobs with these ids that exist."""
    return summaries(context, [job for job in context.jobs.load_many(ids) if job])


def summaries(context: ApiContext, entries: Sequence[JobEntry]) -> list[JobSummary]:
    """These jobs without their batches, as of now."""
    now_ms, fleets = context.jobs.now_ms(), context.fleets.cached
    return _readable(
        context,
        entries,
        lambda entry: JobSummary.model_validate(show_summary(entry, now_ms, fleets)),
    )


def whole_jobs(context: ApiContext, entries: Sequence[JobEntry]) -> list[Job]:
    """These jobs with their batches, as of now."""
    now_ms, fleets = context.jobs.now_ms(), context.fleets.cached
    return _readable(
        context,
        entries,
        lambda entry: Job.model_validate(show_job(entry, entry.finished_ms or now_ms, fleets)),
    )


def _readable(
    context: ApiContext, entries: Sequence[JobEntry], show: Callable[[JobEntry], _ShownT]
) -> list[_ShownT]:
    named = [(keys.job_key(entry.id), entry) for entry in entries]
    return show_readable(context.broken, "job", named, show)
