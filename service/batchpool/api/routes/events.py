"""/v1/jobs/{id}/events: a job's changes as Server-Sent Events, each with a full snapshot."""

from functools import partial

from flask import Blueprint, Response

from batchpool.api.context import ApiContext, service
from batchpool.api.event_stream import EVENT_STREAM, EventSource, Snapshot, stream_events
from batchpool.api.http import is_id, negotiate, no_such_job, read_query
from batchpool.jobs.aggregation import show_job
from batchpool.schemas.job_requests import EventsQuery

blueprint = Blueprint("events", __name__, url_prefix="/v1/jobs")

KINDS = ("progress", "batch", "job", "end")


@blueprint.get("/<job_id>/events")
def get_events(job_id: str) -> Response:
    negotiate((EVENT_STREAM,))
    query = read_query(EventsQuery)
    here = service()
    source = EventSource(
        kinds=KINDS,
        load=partial(_look, here, job_id),
        oldest_id=partial(here.events.oldest_id, job_id),
        read=partial(here.events.read, job_id),
        missing=no_such_job(job_id),
    )
    return stream_events(here, source, query.last_event_id)


def _look(here: ApiContext, job_id: str) -> Snapshot | None:
    seen = here.jobs.load_snapshot(job_id) if is_id(job_id) else None
    if seen is None:
        return None
    show = partial(show_job, seen.job, seen.job.finished_ms or seen.now_ms)
    return Snapshot(seen.event, seen.job.state, show)
