"""The list of jobs, newest first, filtered while it is read."""

from collections.abc import Sequence

from batchpool.ledger.entries import JobEntry
from batchpool.ledger.jobs import Jobs
from batchpool.schemas.job_requests import JobsQuery

SCAN_PAGE = 200
"""Jobs whose state and task are looked at in one go to find those that a filter wants."""
MAX_SCANNED = 2000
"""Jobs looked at for one page; a page that found fewer has a cursor to go on from."""


def list_jobs(jobs: Jobs, query: JobsQuery) -> tuple[list[JobEntry], str | None]:
    """A page of jobs and the cursor of the next one, None at the end.

    The cursor is the id of the last job that was looked at; one that is gone ends the list.
    """
    found: list[JobEntry] = []
    before = query.cursor
    looked_at = 0
    while looked_at < MAX_SCANNED:
        missing = query.limit - len(found)
        # One more than fits tells that there is a next page.
        ids = jobs.page(SCAN_PAGE if _is_filtered(query) else missing + 1, before)
        if not ids:
            return found, None
        wanted = _wanted(jobs, ids, query)[: missing + 1] if _is_filtered(query) else ids
        if len(wanted) > missing:
            # What comes after these was not loaded, so it is not passed over either.
            ids = ids[: ids.index(wanted[-1]) + 1]
        loaded = {job.id: job for job in jobs.load_many(wanted) if job}
        for job_id in ids:
            if len(found) == query.limit:
                return found, before
            before = job_id
            looked_at += 1
            job = loaded.get(job_id)
            # A state may have changed since it was looked at.
            if job and query.state in (None, job.state):
                found.append(job)
    return found, before


def _is_filtered(query: JobsQuery) -> bool:
    return query.state is not None or query.task is not None


def _wanted(jobs: Jobs, ids: Sequence[str], query: JobsQuery) -> list[str]:
    """Those of `ids` that the query's filters let through."""
    return [
        job_id
        for job_id, head in zip(ids, jobs.load_headers(ids), strict=True)
        if head and query.state in (None, head.state) and query.task in (None, head.spec.task)
    ]
