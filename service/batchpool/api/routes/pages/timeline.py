"""/jobs/{id}/timeline: the lanes of a job, at full width."""

from flask import Blueprint, Response

from batchpool.api.context import service
from batchpool.api.http import check_job_id, no_such_job
from batchpool.api.page_response import page
from batchpool.api.routes.pages.job_summaries import load_summaries
from batchpool.pages.jobs.lines import state_word

blueprint = Blueprint("timeline_page", __name__)


@blueprint.get("/jobs/<job_id>/timeline")
def get_timeline_page(job_id: str) -> Response:
    jobs = load_summaries(service(), [check_job_id(job_id)])
    if not jobs:
        raise no_such_job(job_id)
    return page("timeline.html", "Jobs", job=jobs[0], word=state_word(jobs[0]))
