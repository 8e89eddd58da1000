"""The batches of a job with their epochs; pure."""

from dataclasses import dataclass
from datetime import datetime

from batchpool.charts import numbers
from batchpool.pages.jobs.progress import done, progress_bar, unsuccessful
from batchpool.schemas.job_responses import Batch, EpochInfo, Job

MOST_EPOCHS = 6
"""Epochs of a batch that are named; the first ones are left out with a word."""


@dataclass(frozen=True)
class BatchLine:
    """A batch as one line of a table.

    Args:
        trail: who ran it, one line an epoch.
        notes: what happened to it, as words on chips.
        why: an error, or why it is parked.
        leftovers: what its tasks left behind.
        bar: SVG.
    """

    index: int
    state: str
    word: str
    notes: tuple[str, ...]
    trail: tuple[str, ...]
    why: str
    leftovers: tuple[str, ...]
    bar: str
    done: str
    items: str
    queue: str


def batch_lines(job: Job, first: int, most: int) -> tuple[BatchLine, ...]:
    """The batches from number `first` on."""
    since = datetime.fromisoformat(job.timing.submitted_at)
    return tuple(_line(batch, since) for batch in job.batches[first : first + most])


def _line(batch: Batch, since: datetime) -> BatchLine:
    failed = batch.state == "failed" and unsuccessful(batch.progress)
    error = batch.error.message if batch.error else batch.parked or batch.second_try or ""
    return BatchLine(
        index=batch.index,
        state=batch.state,
        word="ended, some failed" if failed else batch.state,
        notes=_notes(batch),
        trail=_trail(batch, since),
        why=error,
        leftovers=tuple(batch.leftovers[:MOST_EPOCHS]),
        bar=progress_bar(batch.progress),
        done=numbers.count(done(batch.progress)),
        items=numbers.count(batch.items),
        queue=numbers.duration(batch.queue_s),
    )


def _notes(batch: Batch) -> tuple[str, ...]:
    notes = []
    if batch.lost_workers and len(batch.epochs) > 1:
        notes.append("taken over")
    elif batch.lost_workers:
        notes.append("worker lost")
    if batch.refused_writes:
        notes.append(numbers.plural(batch.refused_writes, "refused write"))
    return tuple(notes)


def _trail(batch: Batch, since: datetime) -> tuple[str, ...]:
    left_out = max(0, len(batch.epochs) - MOST_EPOCHS)
    lines = [f"{numbers.plural(left_out, 'earlier epoch')}"] if left_out else []
    shown = list(enumerate(batch.epochs, 1))[left_out:]
    lines += [_epoch(number, epoch, since) for number, epoch in shown]
    return tuple(lines)


def _epoch(number: int, epoch: EpochInfo, since: datetime) -> str:
    ended = numbers.duration(_after(epoch.ended_at, since)) if epoch.ended_at else "now"
    lost = ", lost" if epoch.end_reason == "lost" else ""
    arrow = "↳ " if number > 1 else ""
    began = numbers.duration(_after(epoch.started_at, since))
    return f"{arrow}epoch {number}: {epoch.worker}, PID {epoch.pid}, {began} to {ended}{lost}"


def _after(moment: str, since: datetime) -> float:
    return max(0.0, (datetime.fromisoformat(moment) - since).total_seconds())
