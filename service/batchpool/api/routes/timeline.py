"""/v1/jobs/{id}/timeline."""

from flask import Blueprint, Response

from batchpool.api.context import service
from batchpool.api.http import check_job_id, json_response, negotiate, no_such_job, read_query
from batchpool.api.use_cases.load_timeline import load_timeline
from batchpool.jobs.timeline.view import Window
from batchpool.schemas.timeline import TimelineQuery

blueprint = Blueprint("timeline", __name__, url_prefix="/v1/jobs")


@blueprint.get("/<job_id>/timeline")
def get_timeline(job_id: str) -> Response:
    negotiate()
    query = read_query(TimelineQuery)
    window = Window(query.start_s, query.end_s, query.width, query.shared_sum == "1")
    context = service()
    seen = context.jobs.load_snapshot(check_job_id(job_id))
    if seen is None:
        raise no_such_job(job_id)
    return json_response(load_timeline(context, seen.job, seen.now_ms, window))
