"""/v1/jobs/{id}/events: a job's changes as Server-Sent Events, each with a full snapshot."""

from functools import partial

from flask import Blueprint, Response

from service.aggregation import show_job
from service.context import Service, service
from service.models import EventsQuery
from service.streaming import EVENT_STREAM, Seen, Source, stream_events
from service.web import check_accepts, is_id, no_such_job, read_query

blueprint = Blueprint("events", __name__, url_prefix="/v1/jobs")

KINDS = ("progress", "batch", "job", "end")


@blueprint.get("/<job_id>/events")
def get_events(job_id: str) -> Response:
    check_accepts((EVENT_STREAM,))
    query = read_query(EventsQuery)
    here = service()
    source = Source(
        kinds=KINDS,
        look=partial(_look, here, job_id),
        oldest_id=partial(here.events.oldest_id, job_id),
        read=partial(here.events.read, job_id),
        missing=no_such_job(job_id),
    )
    return stream_events(here, source, query.last_event_id)


def _look(here: Service, job_id: str) -> Seen | None:
    seen = here.jobs.look(job_id) if is_id(job_id) else None
    if seen is None:
        return None
    show = partial(show_job, seen.job, seen.job.finished_ms or seen.now_ms)
    return Seen(seen.event, seen.job.state, show)
