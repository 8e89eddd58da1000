"""/v1/jobs/{id}/report and /v1/comparisons/{id}/report: one HTML file, or one chart as SVG."""

from collections.abc import Iterator, Sequence
from typing import Final

from flask import Blueprint, Response, request

from batchpool.api.context import ApiContext, service
from batchpool.api.http import (
    check_comparison_id,
    check_job_id,
    negotiate,
    no_such_comparison,
    no_such_job,
    read_query,
)
from batchpool.api.page_response import HTML, running_version
from batchpool.api.problems import field_problem
from batchpool.api.use_cases.load_failures import load_failures
from batchpool.api.use_cases.load_timeline import load_arm_runs, load_timeline
from batchpool.charts.svg import as_file
from batchpool.jobs.aggregation import show_job
from batchpool.jobs.timeline.view import Window
from batchpool.ledger.records import RecordDocument
from batchpool.ledger.values.job_entries import JobEntry
from batchpool.model import TERMINAL_STATES
from batchpool.pages.chart_card import ChartCard
from batchpool.pages.comparisons.view import build_comparison
from batchpool.pages.job import Around, build_job
from batchpool.pages.job_report import JobReport, build_report, job_charts
from batchpool.pages.job_sums import MOST_ITEMS, build_shared_sum
from batchpool.pages.report import chart_style, render_report
from batchpool.schemas.job_responses import Job
from batchpool.schemas.report import ReportQuery
from batchpool.timestamps import rfc3339

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
    timeline = load_timeline(context, seen.job, seen.now_ms, WIDE)
    if query.chart is not None:
        return _chart(job_charts(timeline), query.chart)
    shown = Job.model_validate(show_job(seen.job, seen.job.finished_ms or seen.now_ms))
    sums = build_shared_sum(shown, _records(context, seen.job))
    around = Around(
        base_url=request.host_url.rstrip("/"),
        counted=isinstance(context.jobs.items(job_id, 0, 1), range),
    )
    failures = load_failures(context, seen.job)
    report: JobReport = build_report(build_job(shown, around), timeline, failures, sums)
    return _file("report_job.html", f"job-{job_id}", report, seen.now_ms)


def _records(context: ApiContext, job: JobEntry) -> Iterator[RecordDocument] | None:
    return context.records.stream(job) if job.spec.count <= MOST_ITEMS else None


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
        return _chart((*view.top, *view.beside, *view.wide, *view.last), query.chart)
    return _file("report_comparison.html", f"comparison-{entry.id}", view, snapshot.now_ms)


def _query() -> ReportQuery:
    query = read_query(ReportQuery)
    negotiate((HTML_TYPE,) if query.chart is None else (SVG,))
    return query


def _chart(cards: Sequence[ChartCard], name: str) -> Response:
    found = next((card for card in cards if card.name == name), None)
    if found is None:
        known = ", ".join(card.name for card in cards) or "none yet"
        raise field_problem("chart", f"unknown chart {name!r}; known: {known}")
    css, policy = chart_style()
    text = as_file(found.drawing, css)
    return Response(text, headers=_headers(policy, f"{name}.svg"), content_type=SVG)


def _file(template: str, name: str, view: object, now_ms: int) -> Response:
    report = render_report(template, view=view, made_at=rfc3339(now_ms), version=running_version())
    headers = _headers(report.policy, f"batchpool-{name}.html")
    return Response(report.text, headers=headers, content_type=HTML)


def _headers(policy: str, file_name: str) -> dict[str, str]:
    return {
        "Content-Security-Policy": f"{policy}; frame-ancestors 'none'",
        "Content-Disposition": f'inline; filename="{file_name}"',
        "Cache-Control": "no-cache",
    }
