"""/v1/jobs: order, list, look at, cancel, retry and delete jobs."""

from contextlib import suppress
from typing import Any

from flask import Blueprint, Response, request
from redis.exceptions import RedisError

from batchpool.api.context import ApiContext, service
from batchpool.api.http import (
    check_job_id,
    json_response,
    negotiate,
    next_link,
    no_such_job,
    read_query,
)
from batchpool.api.json_body import parse_json, read_body
from batchpool.api.large_bodies import LARGE_BYTES
from batchpool.api.long_poll import wait_for_end
from batchpool.api.problems import Conflict
from batchpool.api.retry_job import retry_job
from batchpool.api.submit_job import SubmittedJob, submit
from batchpool.jobs.aggregation import show_job, show_summary
from batchpool.jobs.listing import list_jobs
from batchpool.ledger.jobs import Snapshot
from batchpool.model import TERMINAL_STATES
from batchpool.queue import rq_queue
from batchpool.queue.messages import rq_id
from batchpool.schemas.job_requests import JobQuery, JobRequest, JobsQuery, NoQuery, read_model

blueprint = Blueprint("jobs", __name__, url_prefix="/v1/jobs")


@blueprint.post("")
def post_job() -> Response:
    negotiate()
    here = service()
    wait_s = _wait_s(here)
    body = read_body(request, here.settings.max_body_bytes)
    if here.large_bodies and len(body) > LARGE_BYTES:
        response = here.large_bodies.post(request.path, request.headers, body)
        if response.status_code != 202:
            return response
        submitted = SubmittedJob(response.headers["Location"].rpartition("/")[2], None)
    else:
        submitted = submit(here, read_model(JobRequest, parse_json(body)))
    if wait_s > 0:
        # It is accepted, whatever becomes of the wait: Redis may go away, or the job be deleted.
        with suppress(RedisError):
            seen, headers = _look_ended(here, submitted.job_id, wait_s, is_new=True)
            if seen:
                return json_response(_shown(seen), 202, headers | _location(submitted.job_id))
    return _accepted(here, submitted)


@blueprint.get("")
def get_jobs() -> Response:
    negotiate()
    query = read_query(JobsQuery)
    here = service()
    found, cursor = list_jobs(here.jobs, query)
    now_ms = here.jobs.now_ms()
    body = {"jobs": [show_summary(job, now_ms) for job in found], "next": cursor}
    return json_response(body, headers={"Link": next_link(cursor)} if cursor else None)


@blueprint.get("/<job_id>")
def get_job(job_id: str) -> Response:
    negotiate()
    here = service()
    wait_s = _wait_s(here)
    seen, headers = _look_ended(here, check_job_id(job_id), wait_s)
    if seen is None:
        raise no_such_job(job_id)
    return json_response(_shown(seen), headers=headers)


@blueprint.post("/<job_id>/cancel")
def cancel_job(job_id: str) -> Response:
    negotiate()
    read_query(NoQuery)
    here = service()
    outcome = here.jobs.cancel(check_job_id(job_id))
    seen = here.jobs.load_snapshot(job_id)
    if outcome == "missing" or seen is None:
        raise no_such_job(job_id)
    if outcome == "terminal":
        state = seen.job.state
        raise Conflict(
            f"the job has already ended ({state}); only queued or running jobs can be cancelled"
        )
    return json_response(_shown(seen), 202)


@blueprint.post("/<job_id>/retry")
def post_retry(job_id: str) -> Response:
    negotiate()
    read_query(NoQuery)
    here = service()
    return _accepted(here, retry_job(here, check_job_id(job_id)))


@blueprint.delete("/<job_id>")
def delete_job(job_id: str) -> Response:
    read_query(NoQuery)
    here = service()
    job = here.jobs.load(check_job_id(job_id))
    outcome = here.jobs.delete(job_id)
    if job is None or outcome == "missing":
        raise no_such_job(job_id)
    if outcome == "running":
        raise Conflict(f"the job is {job.state}; only jobs that have ended can be deleted")
    for queue in {batch.queue for batch in job.batches}:
        mine = (batch for batch in job.batches if batch.queue == queue)
        names = [rq_id(job_id, batch.index) for batch in mine]
        rq_queue.forget(here.redis, queue, names)
    return Response(status=204)


def _wait_s(here: ApiContext) -> float:
    return min(read_query(JobQuery).wait, here.settings.wait_cap_s)


def _look_ended(
    here: ApiContext, job_id: str, wait_s: float, *, is_new: bool = False
) -> tuple[Snapshot | None, dict[str, str]]:
    """The job once it has ended or the wait is over, and the headers that say more."""
    with here.waits.acquired(wait_s > 0) as may_wait:
        if may_wait:
            wait_for_end(here, job_id, wait_s, here.jobs, is_new=is_new)
        seen = here.jobs.load_snapshot(job_id)
    # No thread was left to wait in: the client is told to ask again, not turned away.
    hurried = wait_s > 0 and not may_wait and seen and seen.job.state not in TERMINAL_STATES
    return seen, {"Retry-After": "1"} if hurried else {}


def _location(job_id: str) -> dict[str, str]:
    return {"Location": f"/v1/jobs/{job_id}"}


def _accepted(here: ApiContext, submitted: SubmittedJob) -> Response:
    job_id, job = submitted
    location = _location(job_id)
    if job is not None:
        # Not read back: a round trip for what has just been written.
        return json_response(show_job(job, job.submitted_ms), 202, location)
    seen = here.jobs.load_snapshot(job_id)
    if seen is None:
        # A replay of a key whose job was deleted since: the same answer, without the job.
        return json_response({"id": job_id, "links": {"self": location["Location"]}}, 202, location)
    return json_response(_shown(seen), 202, location)


def _shown(seen: Snapshot) -> dict[str, Any]:
    return show_job(seen.job, seen.job.finished_ms or seen.now_ms)
