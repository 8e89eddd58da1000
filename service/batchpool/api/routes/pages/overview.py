"""/: the overview."""

from flask import Blueprint, Response

from batchpool.api.context import service
from batchpool.api.page_response import page
from batchpool.pages.frame import Live
from batchpool.pages.overview import build_overview

blueprint = Blueprint("overview_page", __name__)


@blueprint.get("/")
def get_overview() -> Response:
    view = build_overview(service().fleets.cached().workers)
    return page("overview.html", "Overview", live=Live(), view=view)
