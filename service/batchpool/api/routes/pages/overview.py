"""/: the overview."""

from collections.abc import Sequence

from flask import Blueprint, Response

from batchpool.api.context import ApiContext, service
from batchpool.api.page_response import page
from batchpool.api.readiness import check
from batchpool.api.routes.pages.job_summaries import summaries, whole_jobs
from batchpool.comparisons.aggregation import show_comparison_summary
from batchpool.comparisons.readability import show_readable
from batchpool.jobs.open_jobs import load_open_jobs
from batchpool.ledger import keys
from batchpool.ledger.comparisons import ComparisonSnapshot
from batchpool.ledger.values.announcements import LiveWorker
from batchpool.ledger.values.job_entries import JobEntry
from batchpool.pages.frame import Live
from batchpool.pages.overview import Facts, build_overview
from batchpool.pages.queue_load import build_queues
from batchpool.schemas.comparison_responses import ComparisonSummary

blueprint = Blueprint("overview_page", __name__)

MOST_OPEN, MOST_RECENT, MOST_COMPARISONS = 12, 8, 3
RECENT_SCAN = 60
"""Jobs among which the recent ones are looked for; runs of comparisons are left out."""


@blueprint.get("/")
def get_overview() -> Response:
    return page("overview.html", "Overview", live=Live(), view=build_overview(_load(service())))


def _load(context: ApiContext) -> Facts:
    found = load_open_jobs(context.redis, MOST_OPEN)
    recent_ids, runs = _recent(context)
    now_ms = context.jobs.now_ms()
    loaded = context.jobs.load_many(list(dict.fromkeys([*found.ids, *recent_ids])))
    entries = {entry.id: entry for entry in loaded if entry}
    fleet = context.fleets.cached()
    workers = fleet.workers
    compared = [context.comparisons.load(each) for each in _newest_comparisons(context)]
    return Facts(
        workers=workers,
        open_jobs=whole_jobs(context, [entries[each] for each in found.ids if each in entries]),
        running=found.running,
        queued=found.queued,
        kept=found.kept,
        runs_left_out=runs,
        recent=summaries(context, [entries[each] for each in recent_ids if each in entries]),
        comparisons=_compared(context, [each for each in compared if each]),
        faults=check(context.redis).reasons if workers else (),
        queues=build_queues(fleet.classes, workers, context.presence.samples(), now_ms),
        cpu_s=_cpu_s(workers, entries, now_ms),
    )


def _recent(context: ApiContext) -> tuple[list[str], int]:
    """The newest jobs that people sent, and how many runs of comparisons are between them."""
    ids = context.jobs.page(RECENT_SCAN)
    headers = dict(zip(ids, context.jobs.load_headers(ids), strict=True))
    sent = [each for each in ids if (head := headers[each]) and head.spec.comparison is None]
    recent = sent[:MOST_RECENT]
    last = ids.index(recent[-1]) + 1 if len(recent) == MOST_RECENT else len(ids)
    return recent, last - len(recent)


def _newest_comparisons(context: ApiContext) -> Sequence[str]:
    return context.comparisons.page(MOST_COMPARISONS)


def _compared(
    context: ApiContext, found: Sequence[ComparisonSnapshot]
) -> list[tuple[ComparisonSummary, Sequence[str]]]:
    named = [(keys.comparison_key(each.entry.id), each) for each in found]
    return show_readable(
        context.broken,
        "comparison",
        named,
        lambda each: (
            show_comparison_summary(each.entry, each.now_ms),
            (each.entry.analysis or {}).get("conclusion", ()),
        ),
    )


def _cpu_s(
    workers: Sequence[LiveWorker], entries: dict[str, JobEntry], now_ms: int
) -> dict[str, tuple[float, float]]:
    """By worker: the CPU seconds of the batch that it runs, and the seconds since that began."""
    found = {}
    for worker in workers:
        job_id, _, number = (worker.batch or "").partition("/")
        entry = entries.get(job_id)
        if entry and number.isdigit() and int(number) < len(entry.batches):
            batch = entry.batches[int(number)]
            since_s = max(0, now_ms - (batch.started_ms or now_ms)) / 1000
            found[worker.name] = (batch.tally.cpu_s, since_s)
    return found
