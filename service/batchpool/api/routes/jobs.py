"""/v1/jobs: submit, list, show, follow, cancel, retry and delete jobs."""

from collections.abc import Collection
from contextlib import suppress
from functools import partial

from flask import Blueprint, Response, request
from redis.exceptions import RedisError

from batchpool.api.bodies.body_stream import BodyStream
from batchpool.api.bodies.item_lines import CSV, NDJSON, read_items
from batchpool.api.bodies.json_body import parse_json, read_body
from batchpool.api.bodies.large_bodies import LARGE_BYTES
from batchpool.api.context import ApiContext, service
from batchpool.api.event_stream import EVENT_STREAM, EventSource, stream_events
from batchpool.api.event_stream import Snapshot as EventSnapshot
from batchpool.api.http import (
    JSON,
    check_job_id,
    is_id,
    json_response,
    negotiate,
    next_link,
    no_such_job,
    problem_document,
    read_query,
)
from batchpool.api.long_poll import HasEnd, wait_for_end
from batchpool.api.problems import Problem
from batchpool.api.use_cases.cancel_job import cancel_job
from batchpool.api.use_cases.delete_job import delete_job
from batchpool.api.use_cases.retry_job import retry_job
from batchpool.api.use_cases.retry_many import RETRIED_STATES, not_retried, retry_many
from batchpool.api.use_cases.show_plan import show_plan
from batchpool.api.use_cases.submit_job import DryRun, SubmittedJob, submit, try_to_submit
from batchpool.api.use_cases.submit_many import Answer, submit_many
from batchpool.api.use_cases.upload_job import ORDER_HEADER, read_order, submit_upload
from batchpool.comparisons.readability import show_readable
from batchpool.jobs.aggregation import show_job, show_summary
from batchpool.jobs.listing import list_jobs, matching_ids
from batchpool.json_value import JsonObject
from batchpool.ledger import keys
from batchpool.ledger.broken import UNPARSABLE
from batchpool.ledger.jobs import BulkAction, Snapshot
from batchpool.model import TERMINAL_STATES
from batchpool.schemas.job_requests import (
    BulkQuery,
    EventsQuery,
    JobQuery,
    JobRequest,
    JobsQuery,
    JobsRequest,
    NoQuery,
    SubmitQuery,
)
from batchpool.schemas.reading import read_model

blueprint = Blueprint("jobs", __name__, url_prefix="/v1/jobs")

MOST_ASKED = 10_000
OPEN_STATES = ("queued", "running")
KINDS = ("progress", "batch", "job", "end")
"""Kinds of events, the least important first."""


@blueprint.post("")
def post_job() -> Response:
    negotiate()
    context = service()
    query = read_query(SubmitQuery)
    submitted = _submit(context, query.dry_run)
    if isinstance(submitted, Response):
        # It was handled in another process.
        if submitted.status_code != 202:
            return submitted
        submitted = SubmittedJob(submitted.headers["Location"].rpartition("/")[2], None)
    if isinstance(submitted, DryRun):
        return json_response(show_plan(context, submitted).model_dump())
    wait_s = min(query.wait, context.settings.wait_cap_s)
    if wait_s > 0:
        # The job is accepted, even if the wait fails: Redis may fail, or the job be deleted.
        with suppress(RedisError):
            seen, headers = _load_ended(context, submitted.job_id, wait_s, is_new=True)
            if seen:
                return json_response(_shown(seen), 202, headers | _location(submitted.job_id))
    return _accepted(context, submitted)


def _submit(context: ApiContext, dry_run: bool) -> SubmittedJob | DryRun | Response:
    path = request.path + ("?dry_run=1" if dry_run else "")
    if request.mimetype in (NDJSON, CSV):
        order, columns = read_order(request.headers.get(ORDER_HEADER), request.mimetype == CSV)
        most = context.settings.max_upload_bytes
        stream = BodyStream.of(request, most)
        if context.large_bodies and stream.late:
            return context.large_bodies.post(path, request.headers, stream)
        items = read_items(stream.read, request.mimetype, most, columns)
        return submit_upload(context, order, items, dry_run)
    body = read_body(request, context.settings.max_body_bytes, (JSON, NDJSON, CSV))
    if context.large_bodies and len(body) > LARGE_BYTES:
        return context.large_bodies.post(path, request.headers, body)
    order = read_model(JobRequest, parse_json(body))
    return try_to_submit(context, order) if dry_run else submit(context, order)


@blueprint.post("/bulk")
def post_jobs() -> Response:
    negotiate()
    read_query(NoQuery)
    context = service()
    body = read_body(request, context.settings.max_body_bytes)
    if context.large_bodies and len(body) > LARGE_BYTES:
        return context.large_bodies.post(request.path, request.headers, body)
    answers = submit_many(context, read_model(JobsRequest, parse_json(body)).jobs)
    return json_response({"jobs": list(map(_answer, answers))}, 207)


def _answer(answer: Answer) -> JsonObject:
    match answer:
        case Problem(status=status):
            return {
                "status": status,
                "id": None,
                "job": None,
                "problem": problem_document(answer),
            }
        case str():
            return {"status": 202, "id": answer, "job": None, "problem": None}
    shown = show_job(answer, answer.finished_ms or answer.submitted_ms, service().fleets.cached)
    return {"status": 202, "id": answer.id, "job": shown, "problem": None}


@blueprint.get("")
def get_jobs() -> Response:
    negotiate()
    query = read_query(JobsQuery)
    context = service()
    found, cursor = list_jobs(context.jobs, query)
    now_ms = context.jobs.now_ms()
    named = ((keys.job_key(job.id), job) for job in found)
    shown = show_readable(
        context.broken, "job", named, lambda job: show_summary(job, now_ms, context.fleets.cached)
    )
    body = {"jobs": shown, "next": cursor}
    return json_response(body, headers={"Link": next_link(cursor)} if cursor else None)


@blueprint.post("/cancel")
def post_cancel_many() -> Response:
    return _ask("cancel", OPEN_STATES)


@blueprint.delete("")
def delete_many() -> Response:
    return _ask("delete", TERMINAL_STATES)


@blueprint.post("/retry")
def post_retry_many() -> Response:
    negotiate()
    context, query = service(), read_query(BulkQuery)
    keep = partial(not_retried, context)
    ids, more = matching_ids(context.jobs, query, RETRIED_STATES, MOST_ASKED, keep)
    done = retry_many(context, ids)
    body = {"taken": done.taken, "refused": done.refused, "more": more or done.is_cut}
    return json_response(body, 202)


def _ask(action: BulkAction, states: Collection[str]) -> Response:
    negotiate()
    jobs = service().jobs
    ids, more = matching_ids(jobs, read_query(BulkQuery), states, MOST_ASKED)
    jobs.ask(action, ids)
    return json_response({"taken": len(ids), "more": more}, 202)


@blueprint.get("/<job_id>")
def get_job(job_id: str) -> Response:
    negotiate()
    context = service()
    wait_s = _wait_s(context)
    seen, headers = _load_ended(context, check_job_id(job_id), wait_s)
    if seen is None:
        raise no_such_job(job_id)
    return json_response(_shown(seen), headers=headers)


@blueprint.get("/<job_id>/events")
def get_events(job_id: str) -> Response:
    negotiate((EVENT_STREAM,))
    query = read_query(EventsQuery)
    context = service()
    source = EventSource(
        kinds=KINDS,
        load=partial(_load_event_snapshot, context, job_id),
        oldest_id=partial(context.events.oldest_id, job_id),
        read=partial(context.events.read, job_id),
        missing=no_such_job(job_id),
    )
    return stream_events(context, source, query.last_event_id)


def _load_event_snapshot(context: ApiContext, job_id: str) -> EventSnapshot | None:
    seen = context.jobs.load_snapshot(job_id) if is_id(job_id) else None
    if seen is None:
        return None
    now_ms = seen.job.finished_ms or seen.now_ms
    show = partial(show_job, seen.job, now_ms, context.fleets.cached)
    return EventSnapshot(seen.event, seen.job.state, show)


@blueprint.post("/<job_id>/cancel")
def post_cancel(job_id: str) -> Response:
    negotiate()
    read_query(NoQuery)
    return json_response(_shown(cancel_job(service(), job_id)), 202)


@blueprint.post("/<job_id>/retry")
def post_retry(job_id: str) -> Response:
    negotiate()
    read_query(NoQuery)
    context = service()
    return _accepted(context, retry_job(context, check_job_id(job_id)))


@blueprint.delete("/<job_id>")
def delete(job_id: str) -> Response:
    read_query(NoQuery)
    delete_job(service(), job_id)
    return Response(status=204)


def _wait_s(context: ApiContext) -> float:
    return min(read_query(JobQuery).wait, context.settings.wait_cap_s)


def _load_ended(
    context: ApiContext, job_id: str, wait_s: float, *, is_new: bool = False
) -> tuple[Snapshot | None, dict[str, str]]:
    """The job once it has ended or the wait is over, and further headers."""
    jobs = context.jobs
    with context.waits.acquired(wait_s > 0) as may_wait:
        awaited = HasEnd(partial(jobs.state, job_id), partial(jobs.wait_ended, job_id))
        seen = wait_for_end(context, awaited, wait_s, is_new=is_new) if may_wait else None
        seen = seen or jobs.load_snapshot(job_id)
    # No thread was left to wait in: the client should ask again, it is not refused.
    hurried = wait_s > 0 and not may_wait and seen and seen.job.state not in TERMINAL_STATES
    return seen, {"Retry-After": "1"} if hurried else {}


def _location(job_id: str) -> dict[str, str]:
    return {"Location": f"/v1/jobs/{job_id}"}


def _accepted(context: ApiContext, submitted: SubmittedJob) -> Response:
    job_id, job = submitted
    location = _location(job_id)
    if job is not None:
        # Not read back: that would be a round trip for what has just been written.
        return json_response(show_job(job, job.submitted_ms, context.fleets.cached), 202, location)
    seen = context.jobs.load_snapshot(job_id)
    if seen is None:
        # A replay of a key whose job was deleted since: the same answer, without the job.
        return json_response({"id": job_id, "links": {"self": location["Location"]}}, 202, location)
    return json_response(_shown(seen), 202, location)


def _shown(seen: Snapshot) -> JsonObject:
    try:
        now_ms = seen.job.finished_ms or seen.now_ms
        return show_job(seen.job, now_ms, service().fleets.cached)
    except UNPARSABLE as error:
        service().broken.note_error("job", keys.job_key(seen.job.id), b"", error)
        raise no_such_job(seen.job.id) from error
