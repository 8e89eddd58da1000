"""/v1/jobs/{id}/timeline."""

from flask import Blueprint, Response

from batchpool.api.context import service
from batchpool.api.http import check_job_id, json_response, negotiate, no_such_job, read_query
from batchpool.api.problems import TooManyDownloads
from batchpool.jobs.timeline.job_spans import JobSpans
from batchpool.jobs.timeline.view import Window, show_timeline
from batchpool.ledger.values.job_entries import JobEntry
from batchpool.schemas.timeline import TimelineQuery

blueprint = Blueprint("timeline", __name__, url_prefix="/v1/jobs")


@blueprint.get("/<job_id>/timeline")
def get_timeline(job_id: str) -> Response:
    negotiate()
    query = read_query(TimelineQuery)
    window = Window(query.start_s, query.end_s, query.width, query.shared_sum == "1")
    seen = service().jobs.load_snapshot(check_job_id(job_id))
    if seen is None:
        raise no_such_job(job_id)
    return json_response(show_timeline(seen.job, _spans(seen.job), window, seen.now_ms))


def _spans(job: JobEntry) -> JobSpans:
    context = service()
    known = context.timelines.complete(job.id)
    if known:
        return known
    # Reading a large job is a download that stays here.
    with context.downloads.acquired() as has_place:
        if not has_place:
            raise TooManyDownloads(context.settings.max_downloads)
        return context.timelines.load(job)
