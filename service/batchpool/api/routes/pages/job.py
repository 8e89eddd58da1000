"""/jobs/{id}: the page of a job."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from itertools import islice

from flask import Blueprint, Response, request

from batchpool.api.context import ApiContext, service
from batchpool.api.http import check_job_id, no_such_job
from batchpool.api.page_response import page, see_other
from batchpool.api.problems import NotFound, field_problem
from batchpool.api.routes.pages.job_summaries import whole_jobs
from batchpool.api.routes.records import CSV, NDJSON, stream_records
from batchpool.api.use_cases.retry_job import retry_job
from batchpool.jobs.failures import FAILURES, Frame, cause_of, show_failures
from batchpool.ledger.blocks.block_index import Selection
from batchpool.ledger.blocks.record_fields import RecordDocument
from batchpool.ledger.values.job_entries import JobEntry
from batchpool.model import RECORD_STATES, TERMINAL_STATES
from batchpool.pages.frame import Live
from batchpool.pages.jobs.failures import FailuresView, build_failures
from batchpool.pages.jobs.progress import done
from batchpool.pages.jobs.record import RecordView, build_record
from batchpool.pages.jobs.records import RecordsView, build_records
from batchpool.pages.jobs.sums import MOST_ITEMS, SharedSumView, build_shared_sum
from batchpool.pages.jobs.view import Around, JobView, build_job
from batchpool.schemas.job_responses import Job
from batchpool.schemas.record_requests import RecordsQuery
from batchpool.schemas.record_responses import Failures

blueprint = Blueprint("job_page", __name__)

RECORDS = 20
CAUSES = 10
MOST_GROUPED = 5000
"""Failures that are grouped for the page; the API groups more."""

DOWNLOADS = {"ndjson": NDJSON, "csv": CSV}


class JobParts:
    """The parts of the page; each is read when the template asks for it, so a fragment is cheap."""

    def __init__(self, context: ApiContext, entry: JobEntry, job: Job) -> None:
        self._context = context
        self._entry = entry
        self._job = job

    @cached_property
    def job(self) -> JobView:
        around = Around(
            base_url=request.host_url.rstrip("/"),
            counted=not self._context.jobs.has_given_items(self._entry.id),
            batches_from=_number("batches"),
        )
        return build_job(self._job, around)

    @cached_property
    def records(self) -> RecordsView:
        state, first = _state(), _number("from")
        wanted = Selection({state} if state else None)
        found, following = self._context.records.page(self._entry, first, RECORDS, wanted)
        return build_records(self._job.id, self._job.progress, found, state, (first, following))

    @cached_property
    def record(self) -> RecordView | None:
        """The record that was asked for with `?item=`."""
        if "item" not in request.args:
            return None
        index = _number("item")
        found = next(self._context.records.stream(self._entry, index), None)
        if found is None or found["index"] != index:
            raise NotFound(f"no record of item {index} in this job: never run, or not yet")
        return build_record(found, self._entry)

    @cached_property
    def failures(self) -> FailuresView | None:
        counts = [getattr(self._job.progress, state) for state in FAILURES]
        if not any(counts):
            return None
        records = islice(self._context.records.ran(self._entry, FAILURES), MOST_GROUPED)
        found = Failures.model_validate(show_failures(records, sum(counts)))
        return build_failures(found, done(self._job.progress), CAUSES)

    @cached_property
    def shared_sum(self) -> SharedSumView | None:
        few = self._job.progress.total <= MOST_ITEMS
        records = self._context.records.stream(self._entry) if few else None
        return build_shared_sum(self._job, records)


@blueprint.get("/jobs/<job_id>/records.<kind>")
def get_records_file(job_id: str, kind: str) -> Response:
    """All records as a file to keep: a link cannot send the header by which the API chooses."""
    if kind not in DOWNLOADS:
        raise NotFound(f"no download {kind[:20]!r}; known: {', '.join(DOWNLOADS)}")
    entry = service().jobs.load(check_job_id(job_id))
    if entry is None:
        raise no_such_job(job_id)
    response = stream_records(
        entry, RecordsQuery.model_validate({"state": _state()}), DOWNLOADS[kind]
    )
    name = f"{job_id}.{kind}"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


@blueprint.get("/jobs/<job_id>")
def get_job(job_id: str) -> Response:
    context = service()
    entry = context.jobs.load(check_job_id(job_id))
    jobs: Sequence[Job] = whole_jobs(context, [entry]) if entry else ()
    if entry is None or not jobs:
        raise no_such_job(job_id)
    live = None if entry.state in TERMINAL_STATES else Live(f"/v1/jobs/{job_id}/events")
    return page("job.html", "Jobs", live=live, view=JobParts(context, entry, jobs[0]))


@blueprint.post("/jobs/<job_id>/retry")
def post_retry(job_id: str) -> Response:
    """Run one item again, or those that failed with one cause, as a new job."""
    chosen = _is_item(_number_of(request.form, "item")) if "item" in request.form else _of_cause()
    return see_other(f"/jobs/{retry_job(service(), check_job_id(job_id), chosen).job_id}")


def _is_item(index: int) -> Callable[[RecordDocument], bool]:
    return lambda record: record["index"] == index


def _of_cause() -> Callable[[RecordDocument], bool]:
    given = request.form
    line = given.get("line", "")
    if not given.get("type") or (line and not (line.isascii() and line.isdigit())):
        raise field_problem("type", "names no cause of failures")
    place = (given.get("file", ""), int(line[:9]), given.get("function", "")) if line else None
    cause = (given["type"], Frame(*place) if place else None)
    return lambda record: record["state"] in FAILURES and cause_of(record) == cause


def _state() -> str | None:
    state = request.args.get("state") or None
    if state not in (None, *RECORD_STATES):
        raise field_problem("state", f"must be one of {', '.join(RECORD_STATES)}")
    return state


def _number(name: str) -> int:
    return _number_of(request.args, name)


def _number_of(given: Mapping[str, str], name: str) -> int:
    text = given.get(name) or "0"
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise field_problem(name, f"must be a whole number, got {text[:20]!r}")
    return int(text)
