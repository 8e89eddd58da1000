"""The list of jobs, newest first, in filtered pages."""

from collections.abc import Callable, Collection, Sequence
from typing import get_args

from batchpool.jobs.paging import collect_page
from batchpool.ledger.jobs import Jobs
from batchpool.ledger.values.job_entries import JobEntry
from batchpool.ledger.values.job_spec import JobSpec
from batchpool.model import JobState
from batchpool.schemas.job_requests import JobsFilter, JobsQuery

JOB_STATES: tuple[str, ...] = get_args(JobState)
SCAN_PAGE = 200
"""Jobs whose state and task are read in one call to find those that match a filter."""


def list_jobs(jobs: Jobs, query: JobsQuery) -> tuple[list[JobEntry], str | None]:
    """A page of jobs and the cursor of the next one, None at the end.

    The cursor is the id of the last job that was scanned; one that was deleted ends the list.
    """

    def scan(cursor: str | None, missing: int) -> list[tuple[str, JobEntry | None]]:
        # One more than fits shows that there is a next page.
        needed = missing + 1
        if is_filtered(query):
            ids, found = _matching(jobs, jobs.page(SCAN_PAGE, cursor), query)
            matching = found[:needed]
        else:
            ids = matching = jobs.page(needed, cursor)
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


def matching_ids(
    jobs: Jobs,
    query: JobsFilter,
    states: Collection[str],
    most: int,
    keep: Callable[[Sequence[str]], list[str]] = list,
) -> tuple[list[str], bool]:
    """The newest jobs that match and are in one of the states, and whether there are more.

    Args:
        keep: leaves some of them out.
    """
    found: list[str] = []
    cursor: str | None = None
    while len(found) <= most and (page := jobs.page(SCAN_PAGE, cursor)):
        ids, matching = _matching(jobs, page, query, states)
        found += keep(matching)
        cursor = page[-1]
        if len(ids) < len(page):
            break
    return found[:most], len(found) > most


def is_filtered(query: JobsFilter) -> bool:
    """Whether a filter is given."""
    given = (query.state, query.task, query.label, query.submitted_after)
    return any(each is not None for each in given)


def _matching(
    jobs: Jobs, ids: Sequence[str], query: JobsFilter, states: Collection[str] = JOB_STATES
) -> tuple[Sequence[str], list[str]]:
    """The ids up to the first job that is too old, and those of them that match."""
    after_ms = query.after_ms
    matching: list[str] = []
    for at, (job_id, head) in enumerate(zip(ids, jobs.load_headers(ids), strict=True)):
        if head is None:
            continue
        if after_ms is not None and head.submitted_ms < after_ms:
            # The list is by time, so that all after it are too old as well.
            return ids[:at], matching
        if (
            head.state in states
            and query.state in (None, head.state)
            and query.task in (None, head.spec.task)
            and _has_label(head.spec, query.label)
        ):
            matching.append(job_id)
    return ids, matching


def _has_label(spec: JobSpec, label: str | None) -> bool:
    if label is None:
        return True
    name, _, text = label.partition("=")
    return spec.labels.get(name) == text
