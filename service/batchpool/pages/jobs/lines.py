"""A job in a list: one line of figures, or a row with its progress; pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from batchpool.charts import numbers
from batchpool.model import TERMINAL_STATES
from batchpool.pages.jobs.progress import done, progress_bar, unsuccessful
from batchpool.pages.text import about, whole_seconds
from batchpool.schemas.job_responses import JobSummary, Spec


@dataclass(frozen=True)
class JobLine:
    """A job as one line of a table.

    Args:
        state: names the glyph; `word` stands beside it.
        began: when it was submitted, RFC 3339.
    """

    id: str
    task: str
    how: str
    state: str
    word: str
    items: str
    took: str
    total: str
    began: str
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class OpenJob:
    """A job that has not ended, with its progress.

    Args:
        bar: SVG; empty while there is no progress.
        left: how long it will take, or has waited, as (figure, words after it).
        rate: items per second; empty while it does not run.
        because: what it waits for; empty while all of it goes on.
        notes: what happened to it, as (glyph, words).
    """

    line: JobLine
    bar: str
    left: tuple[str, str]
    rate: str
    because: str
    done: str
    total: str
    notes: tuple[tuple[str, str], ...]


def job_line(job: JobSummary) -> JobLine:
    """The line of a job."""
    return JobLine(
        id=job.id,
        task=job.spec.task,
        how=how_it_runs(job.spec),
        state=job.state,
        word=state_word(job),
        items=numbers.count(job.progress.total),
        took=numbers.duration(job.timing.wall_s),
        total=numbers.NOTHING if job.sum_text is None else numbers.exact(job.sum_text),
        began=job.timing.submitted_at,
        labels=job.spec.labels,
    )


def how_it_runs(spec: Spec) -> str:
    """Backend, concurrency and batches: `process-pool 3, 3 batches`."""
    alone = spec.backend == "sequential" or not spec.concurrency
    words = spec.backend if alone else f"{spec.backend} {spec.concurrency}"
    return words + (f", {numbers.plural(spec.batches, 'batch', 'batches')}" * (spec.batches > 1))


def state_word(job: JobSummary) -> str:
    """The state, or for a job that failed how many of its items did."""
    failed = unsuccessful(job.progress)
    if job.state == "failed" and failed:
        return f"{numbers.count(failed)} failed"
    return job.state


def seconds_left(job: JobSummary) -> float | None:
    """The time to go at the rate so far; None where there is no rate yet."""
    finished, wall_s = done(job.progress), job.timing.wall_s
    if job.state in TERMINAL_STATES or not finished or not wall_s:
        return None
    return (job.progress.total - finished) * wall_s / finished


def open_job(job: JobSummary, lost_workers: int = 0) -> OpenJob:
    """The row of a job that has not ended."""
    runs = job.state == "running"
    left_s, wall_s, finished = seconds_left(job), job.timing.wall_s, done(job.progress)
    if runs:
        left = (f"≈ {about(left_s)}", "left") if left_s is not None else ("", "starting")
    else:
        left = (whole_seconds(job.timing.queue_s), "in the queue")
    return OpenJob(
        line=job_line(job),
        bar=progress_bar(job.progress) if runs or finished else "",
        left=left,
        rate=numbers.rate(finished / wall_s) if runs and wall_s and finished else "",
        because=job.waiting_for.text if job.waiting_for else "",
        done=numbers.count(finished),
        total=numbers.plural(job.progress.total, "item"),
        notes=_notes(job, lost_workers),
    )


def _notes(job: JobSummary, lost_workers: int) -> tuple[tuple[str, str], ...]:
    notes = []
    if failed := unsuccessful(job.progress):
        notes.append(("failed", f"{numbers.count(failed)} failed"))
    if lost_workers:
        lost = numbers.plural(lost_workers, "worker")
        took = "its batch" if lost_workers == 1 else "their batches"
        notes.append(("lost", f"{lost} lost, {took} taken over"))
    return tuple(notes)
