"""The timeline of a job, and one run of each arm of a comparison."""

from typing import cast

from batchpool.api.context import ApiContext
from batchpool.api.problems import TooManyDownloads
from batchpool.charts.timeline_arms import ArmRun
from batchpool.charts.timeline_document import Timeline
from batchpool.jobs.timeline.job_spans import JobSpans
from batchpool.jobs.timeline.view import Window, show_timeline
from batchpool.ledger.values.comparison_entries import ComparisonEntry
from batchpool.ledger.values.job_entries import JobEntry
from batchpool.pages.comparisons.typical_runs import typical_runs


def load_timeline(context: ApiContext, job: JobEntry, now_ms: int, window: Window) -> Timeline:
    """The timeline of a job.

    Args:
        now_ms: Redis' clock when `job` was read.
    Raises:
        TooManyDownloads: it has to be read, and too many other jobs are.
    """
    return cast(Timeline, show_timeline(job, _spans(context, job), window, now_ms))


def _spans(context: ApiContext, job: JobEntry) -> JobSpans:
    known = context.timelines.complete(job.id)
    if known:
        return known
    # Reading a large job is a download that stays here.
    with context.downloads.acquired() as has_place:
        if not has_place:
            raise TooManyDownloads(context.settings.max_downloads)
        return context.timelines.load(job)


def load_arm_runs(context: ApiContext, entry: ComparisonEntry) -> list[ArmRun]:
    """The timeline of a run of each arm: the one nearest to its median whose job still exists.

    Raises:
        TooManyDownloads: they have to be read, and too many other jobs are.
    """
    found = []
    for name, samples in typical_runs(entry):
        for sample in samples:
            seen = context.jobs.load_snapshot(sample.job_id)
            if seen is not None and sample.facts is not None:
                timeline = load_timeline(context, seen.job, seen.now_ms, Window())
                found.append(ArmRun(name, sample.facts.wall_s, timeline))
                break
    return found
