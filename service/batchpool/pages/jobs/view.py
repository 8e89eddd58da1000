"""The page of a job: its state in a sentence, then figures, then its parts; pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from batchpool.charts import numbers
from batchpool.model import TERMINAL_STATES
from batchpool.pages.jobs.batches import BatchLine, batch_lines
from batchpool.pages.jobs.lines import how_it_runs, seconds_left, state_word
from batchpool.pages.jobs.progress import done, progress_bar, unsuccessful
from batchpool.pages.jobs.reduced import ReducedLine, reduced_lines
from batchpool.pages.jobs.request import RequestForm, request_forms, request_note, settings
from batchpool.pages.text import about, in_words, sentence, whole_seconds
from batchpool.schemas.job_responses import Job

MOST_BATCHES = 50
"""Batches on one page."""

Figure = tuple[str, str, str]
"""Its name, its value, and its unit."""


@dataclass(frozen=True)
class JobView:
    """What the page of a job shows.

    Args:
        lead: the sentence in bold, and what follows it.
        bar: SVG.
        legend: (key of the colour, count, words).
        retryable: items that a retry would run again; 0 while the job is open.
        batches_total: of which `batches` are those from `batches_from` on.
        retry_of: the id of the job that this one runs items of again.
    """

    id: str
    task: str
    how: str
    state: str
    word: str
    labels: Mapping[str, str]
    lead: tuple[str, str]
    bar: str
    legend: tuple[tuple[str, str, str], ...]
    figures: tuple[Figure, ...]
    is_open: bool
    retryable: int
    retry_of: str | None
    comparison: str | None
    items: int
    batches: tuple[BatchLine, ...]
    batches_from: int
    batches_total: int
    requests: tuple[RequestForm, ...]
    request_note: str
    settings: tuple[tuple[str, str], ...]
    reduced: tuple[ReducedLine, ...]


@dataclass(frozen=True)
class Around:
    """What the page of a job needs beside the job.

    Args:
        base_url: of the API, for the requests to copy.
        counted: whether its items are the numbers from 0 on.
        batches_from: the first batch that is shown.
    """

    base_url: str
    counted: bool
    batches_from: int = 0


def build_job(job: Job, around: Around) -> JobView:
    """The page of a job."""
    is_open = job.state not in TERMINAL_STATES
    progress = job.progress
    return JobView(
        id=job.id,
        task=job.spec.task,
        how=how_it_runs(job.spec),
        state=job.state,
        word=state_word(job),
        labels=job.spec.labels,
        lead=lead(job),
        bar=progress_bar(progress, "fat"),
        legend=_legend(job),
        figures=_figures(job),
        is_open=is_open,
        retryable=0 if is_open else progress.total - progress.succeeded,
        retry_of=job.spec.retry_of,
        comparison=job.spec.comparison.id if job.spec.comparison else None,
        items=progress.total,
        batches=batch_lines(job, around.batches_from, MOST_BATCHES),
        batches_from=around.batches_from,
        batches_total=len(job.batches),
        requests=request_forms(job.spec, around.base_url, around.counted),
        request_note=request_note(job.spec, around.counted),
        settings=settings(job.spec, around.counted),
        reduced=reduced_lines(job),
    )


def lead(job: Job) -> tuple[str, str]:
    """How the job is, in bold; then what happened, and what to do."""
    if job.state in TERMINAL_STATES:
        return _ended(job), _after(job)
    if job.state == "queued":
        queued = whole_seconds(job.timing.queue_s)
        first = f"It has been in the queue for {queued}."
        return first, _waits(job)
    finished, total = done(job.progress), numbers.plural(job.progress.total, "item")
    left_s = seconds_left(job)
    first = f"{numbers.count(finished)} of {total} are done"
    first += f"; about {about(left_s)} to go." if left_s is not None else "."
    parts = [incidents(job), _failed_so_far(job), _waits(job)]
    return first, " ".join(part for part in parts if part) or "Nothing for you to do."


def _ended(job: Job) -> str:
    progress, total = job.progress, numbers.plural(job.progress.total, "item")
    took = numbers.duration(job.timing.wall_s)
    if job.state == "succeeded":
        one = progress.total == 1
        return f"Its one item is done, in {took}." if one else f"All {total} are done, in {took}."
    if job.state == "cancelled":
        return f"It was cancelled when {numbers.count(progress.succeeded)} of {total} were done."
    failed = unsuccessful(progress)
    if not failed:
        return f"It failed; {numbers.count(progress.succeeded)} of {total} are done."
    return f"{numbers.count(failed)} of {total} failed."


def _after(job: Job) -> str:
    progress = job.progress
    parts = [sentence(job.error.message) if job.error else "", incidents(job)]
    rest = progress.total - progress.succeeded
    if job.state == "failed" and unsuccessful(progress) and progress.succeeded:
        parts.append(f"The other {numbers.count(progress.succeeded)} are done.")
    if rest:
        what = numbers.plural(rest, "item")
        parts.append(f"Retry runs the {what} without a value again, as a new job.")
    return " ".join(part for part in parts if part)


def incidents(job: Job) -> str:
    """What happened to the workers of the job, and what was done about it."""
    lost = [batch for batch in job.batches if batch.lost_workers]
    if not lost:
        return ""
    workers = [
        epoch.worker for batch in lost for epoch in batch.epochs if epoch.end_reason == "lost"
    ]
    batch = lost[0]
    if len(workers) == 1 and len(batch.epochs) > 1 and batch.epochs[-1].end_reason != "lost":
        new = batch.epochs[-1].worker
        what = f"Worker {workers[0]} was lost; {new} took over batch {batch.index}"
        if batch.state == "running":
            return f"{what} and goes on from what was recorded."
        return f"{what} and ran what had no record yet."
    count = in_words(sum(batch.lost_workers for batch in lost))
    noun = "worker was" if len(workers) == 1 else "workers were"
    rest = "what they had recorded counts, the rest is run by others."
    return f"{count.capitalize()} {noun} lost while they ran batches of this job; {rest}"


def _failed_so_far(job: Job) -> str:
    failed = unsuccessful(job.progress)
    if not failed:
        return ""
    have, them = ("item has", "it") if failed == 1 else ("items have", "them")
    return f"{numbers.count(failed)} {have} failed; you can retry {them} when it has ended."


def _waits(job: Job) -> str:
    return job.waiting_for.text if job.waiting_for else ""


def _legend(job: Job) -> tuple[tuple[str, str, str], ...]:
    progress, is_open = job.progress, job.state not in TERMINAL_STATES
    found = [("ok", progress.succeeded, "succeeded")]
    others = ("failed", "timeout", "crashed", "cancelled")
    keys = {"failed": "fail", "timeout": "latefill", "crashed": "crash", "cancelled": "rest"}
    found += [(keys[each], getattr(progress, each), each) for each in others]
    if is_open:
        found += [("cpu", progress.running, "running"), ("rest", progress.pending, "to come")]
    return tuple(
        (key, numbers.count(count), words)
        for key, count, words in found
        if count or words in ("succeeded", "to come")
    )


def _figures(job: Job) -> tuple[Figure, ...]:
    timing, finished = job.timing, done(job.progress)
    is_open, wall_s = job.state not in TERMINAL_STATES, job.timing.wall_s
    found: list[Figure] = []
    if wall_s is not None:
        found.append(_figure("Running for" if is_open else "Took", numbers.duration(wall_s)))
        found.append(_figure("Rate", numbers.rate(finished / wall_s) if wall_s else "–"))
    found.append(_figure("In the queue", numbers.duration(timing.queue_s)))
    left_s = seconds_left(job)
    if left_s is not None:
        found.append(_figure("Time left", f"≈ {about(left_s)}"))
    name = "Exact sum so far" if is_open else "Exact sum"
    total = numbers.NOTHING if job.sum_text is None else numbers.exact(job.sum_text)
    found.append((name, total, ""))
    if timing.parallelism is not None and finished:
        most = job.spec.concurrency * job.spec.batches
        found.append(("Tasks at once", f"{timing.parallelism:.2f}", f"of {most}"))
        found.append(("CPUs at work", f"{timing.cpu_parallelism or 0:.2f}", ""))
    failed = unsuccessful(job.progress)
    found.append(("Failed", numbers.count(failed), f"of {numbers.count(finished)}"))
    return tuple(found)


def _figure(name: str, text: str) -> Figure:
    """A figure whose unit is set smaller; one with two units stays as it is."""
    figure, _, unit = text.rpartition(numbers.NO_BREAK)
    return (name, figure, unit) if figure and numbers.NO_BREAK not in figure else (name, text, "")
