"""The list of jobs, newest first, in filtered pages."""

from collections.abc import Sequence

from batchpool.jobs.paging import collect_page
from batchpool.ledger.jobs import Jobs
from batchpool.ledger.values.job_entries import JobEntry
from batchpool.ledger.values.job_spec import JobSpec
from batchpool.schemas.job_requests import JobsQuery

SCAN_PAGE = 200
"""Jobs whose state and task are read in one call to find those that match a filter."""


def list_jobs(jobs: Jobs, query: JobsQuery) -> tuple[list[JobEntry], str | None]:
    """A page of jobs and the cursor of the next one, None at the end.

    The cursor is the id of the last job that was scanned; one that was deleted ends the list.
    """

    def scan(cursor: str | None, missing: int) -> list[tuple[str, JobEntry | None]]:
        # One more than fits shows that there is a next page.
        needed = missing + 1
        ids = jobs.page(SCAN_PAGE if _is_filtered(query) else needed, cursor)
        matching = _matching(jobs, ids, query)[:needed] if _is_filtered(query) else ids
        if len(matching) == needed:
            # The jobs after these are not loaded, so the scan must not pass them.
            ids = ids[: ids.index(matching[-1]) + 1]
        # The state may have changed since the header was read.
        loaded = {
            job.id: job
            for job in jobs.load_many(matching)
            if job and query.state in (None, job.state)
        }
        return [(job_id, loaded.get(job_id)) for job_id in ids]

    return collect_page(query.limit, query.cursor, scan)


def _is_filtered(query: JobsQuery) -> bool:
    return any(each is not None for each in (query.state, query.task, query.label))


def _matching(jobs: Jobs, ids: Sequence[str], query: JobsQuery) -> list[str]:
    return [
        job_id
        for job_id, head in zip(ids, jobs.load_headers(ids), strict=True)
        if head
        and query.state in (None, head.state)
        and query.task in (None, head.spec.task)
        and _has_label(head.spec, query.label)
    ]


def _has_label(spec: JobSpec, label: str | None) -> bool:
    if label is None:
        return True
    name, _, text = label.partition("=")
    return spec.labels.get(name) == text
