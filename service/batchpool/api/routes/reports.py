"""/v1/jobs/{id}/report and /v1/comparisons/{id}/report: one HTML file, or one chart as SVG."""

from collections.abc import Sequence
from typing import Final

from flask import Blueprint, Response

from batchpool.api.context import service
from batchpool.api.http import (
    check_comparison_id,
    check_job_id,
    negotiate,
    no_such_comparison,
    no_such_job,
    read_query,
)
from batchpool.api.page_response import HTML
from batchpool.api.problems import field_problem
from batchpool.api.routes.pages.job import JobParts
from batchpool.api.use_cases.load_timeline import load_arm_runs, load_timeline
from batchpool.comparisons.aggregation import results_of, show_comparison
from batchpool.comparisons.analysis.result_card import result_card
from batchpool.jobs.aggregation import show_job
from batchpool.jobs.timeline.view import Window
from batchpool.ledger.broken import UNPARSABLE
from batchpool.ledger.keys import job_key
from batchpool.model import TERMINAL_STATES
from batchpool.pages.chart_card import ChartCard
from batchpool.pages.comparisons.card import card_picture
from batchpool.pages.comparisons.view import build_comparison
from batchpool.pages.jobs.charts import job_charts
from batchpool.pages.one_file import chart_file, chart_policy, file_policy, render_file
from batchpool.schemas.job_responses import Job
from batchpool.schemas.report import ReportQuery
from batchpool.timestamps import rfc3339
from batchpool.version import __version__

blueprint = Blueprint("reports", __name__, url_prefix="/v1")

HTML_TYPE, SVG = "text/html", "image/svg+xml"
WIDE: Final = Window(width=1200)


@blueprint.get("/jobs/<job_id>/report")
def get_job_report(job_id: str) -> Response:
    query = _query()
    context = service()
    seen = context.jobs.load_snapshot(check_job_id(job_id))
    if seen is None:
        raise no_such_job(job_id)
    charts = job_charts(load_timeline(context, seen.job, seen.now_ms, WIDE))
    if query.chart is not None:
        return _chart(charts, query.chart)
    try:
        shown = Job.model_validate(show_job(seen.job, seen.job.finished_ms or seen.now_ms))
    except UNPARSABLE as error:
        context.broken.note_error("job", job_key(job_id), b"", error)
        raise no_such_job(job_id) from error
    view = JobParts(context, seen.job, shown)
    return _file("report_job.html", f"job-{job_id}", seen.now_ms, view=view, drawn=charts)


@blueprint.get("/comparisons/<comparison_id>/report")
def get_comparison_report(comparison_id: str) -> Response:
    query = _query()
    context = service()
    snapshot = context.comparisons.load(check_comparison_id(comparison_id))
    if snapshot is None:
        raise no_such_comparison(comparison_id)
    entry = snapshot.entry
    runs = load_arm_runs(context, entry) if entry.state in TERMINAL_STATES else []
    view = build_comparison(entry, snapshot.now_ms, runs)
    if query.chart is not None:
        cards = [*view.top, *view.beside, *view.wide, *view.last]
        if results := results_of(entry):
            shown = show_comparison(entry, snapshot.now_ms)
            cards.append(card_picture(shown, result_card(results)))
        return _chart(cards, query.chart)
    return _file("report_comparison.html", f"comparison-{entry.id}", snapshot.now_ms, view=view)


def _query() -> ReportQuery:
    query = read_query(ReportQuery)
    negotiate((HTML_TYPE,) if query.chart is None else (SVG,))
    return query


def _chart(cards: Sequence[ChartCard], name: str) -> Response:
    found = next((card for card in cards if card.name == name), None)
    if found is None:
        known = ", ".join(card.name for card in cards) or "none yet"
        raise field_problem("chart", f"unknown chart {name!r}; known: {known}")
    headers = _headers(chart_policy(), f"{name}.svg")
    return Response(chart_file(found.drawing), headers=headers, content_type=SVG)


def _file(template: str, name: str, now_ms: int, **view: object) -> Response:
    text = render_file(template, made_at=rfc3339(now_ms), version=__version__, **view)
    headers = _headers(file_policy(), f"batchpool-{name}.html")
    return Response(text, headers=headers, content_type=HTML)


def _headers(policy: str, file_name: str) -> dict[str, str]:
    return {
        "Content-Security-Policy": f"{policy}; frame-ancestors 'none'",
        "Content-Disposition": f'inline; filename="{file_name}"',
        "Cache-Control": "no-cache",
    }
