"""/comparisons and /comparisons/{id}: which way is the fastest, and is that proven?"""

from flask import Blueprint, Response, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from batchpool.api.context import service
from batchpool.api.http import check_comparison_id, no_such_comparison, read_query
from batchpool.api.page_response import page
from batchpool.api.problems import TooManyDownloads
from batchpool.api.use_cases.load_timeline import load_arm_runs
from batchpool.charts.timeline_arms import ArmRun
from batchpool.comparisons.listing import list_comparisons
from batchpool.comparisons.readability import show_readable
from batchpool.ledger import keys
from batchpool.ledger.comparisons import ComparisonSnapshot
from batchpool.ledger.values.comparison_entries import ComparisonEntry
from batchpool.model import TERMINAL_STATES
from batchpool.pages.comparisons.listing import build_list, comparison_line
from batchpool.pages.comparisons.view import build_comparison
from batchpool.pages.frame import Live
from batchpool.schemas.comparison_requests import ComparisonsQuery
from batchpool.schemas.job_requests import NoQuery
from batchpool.schemas.reading import read_model

blueprint = Blueprint("comparison_pages", __name__, url_prefix="/comparisons")

SECTION = "Comparisons"
MOST_ITEMS = 50_000
"""Of one run of each arm: more are drawn only when asked for."""
LINES = 20
"""Of a page of the list: each comparison is read whole."""


@blueprint.get("")
def get_comparison_list() -> Response:
    query = _list_query()
    context = service()
    found, cursor = list_comparisons(context.comparisons, query)
    # Whole, since the conclusion is part of a line.
    whole = context.comparisons.load_many([each.entry.id for each in found], whole=True)
    lines = show_readable(
        context.broken,
        "comparison",
        ((keys.comparison_key(each.entry.id), each) for each in whole if each),
        lambda each: comparison_line(each.entry, each.now_ms),
    )
    view = build_list(lines, query.state, query.task, cursor)
    return page("comparisons.html", SECTION, live=Live(), view=view)


def _list_query() -> ComparisonsQuery:
    # A form sends its empty fields too.
    sent = {name: text for name, text in request.args.items() if text and name != "fragment"}
    sent.setdefault("limit", str(LINES))
    return read_model(ComparisonsQuery, sent)


@blueprint.get("/<comparison_id>")
def get_comparison_page(comparison_id: str) -> Response:
    snapshot = _load(comparison_id)
    entry = snapshot.entry
    is_open = entry.state not in TERMINAL_STATES
    is_large = entry.spec.count * len(entry.spec.arms) > MOST_ITEMS
    runs = [] if is_open else None if is_large else _runs(entry)
    view = build_comparison(entry, snapshot.now_ms, runs or (), late_timelines=runs is None)
    live = Live(f"/v1/comparisons/{comparison_id}/events") if is_open else None
    return page("comparison.html", SECTION, live=live, view=view)


def _runs(entry: ComparisonEntry) -> list[ArmRun] | None:
    """One run of each arm; None if that has to wait, so that the page need not."""
    try:
        return load_arm_runs(service(), entry)
    except TooManyDownloads:
        return None


@blueprint.post("/<comparison_id>/cancel")
def post_cancel(comparison_id: str) -> AnyResponse:
    read_query(NoQuery)
    if service().comparisons.cancel(check_comparison_id(comparison_id)) == "missing":
        raise no_such_comparison(comparison_id)
    # One that has just ended is shown as it ended.
    return redirect(f"/comparisons/{comparison_id}", 303)


def _load(comparison_id: str) -> ComparisonSnapshot:
    snapshot = service().comparisons.load(check_comparison_id(comparison_id))
    if snapshot is None:
        raise no_such_comparison(comparison_id)
    return snapshot
