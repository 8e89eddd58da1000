"""Marks of a timeline: workers that were lost, batches that were taken over, writes refused."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from batchpool.jobs.timeline.job_spans import Epoch
from batchpool.json_value import JsonObject
from batchpool.ledger.values.job_entries import BatchEntry, JobEntry

MarkKind = Literal["worker_lost", "takeover", "run_again", "refused_write"]


@dataclass(frozen=True)
class Mark:
    """Something that happened to a batch; `of` is the epoch in whose lanes it is shown.

    Times are seconds since the job was submitted; `since_s` is the last sign of life of a worker
    that was lost.
    """

    at_s: float
    kind: MarkKind
    worker: str
    of: Epoch
    text: str
    since_s: float | None = None
    kept: int | None = None
    items: int | None = None

    def to_json(self) -> JsonObject:
        return {
            "at": self.at_s,
            "kind": self.kind,
            "worker": self.worker,
            "batch": self.of.batch,
            "epoch": self.of.epoch,
            "from": self.since_s,
            "kept": self.kept,
            "items": self.items,
            "text": self.text,
        }


def marks_of(job: JobEntry, items: Mapping[Epoch, int]) -> list[Mark]:
    """The marks of a job by time.

    Args:
        items: recorded items of each epoch.
    """
    found = [mark for batch in job.batches for mark in _of_batch(job, batch, items)]
    return sorted(found, key=lambda mark: mark.at_s)


def _of_batch(job: JobEntry, batch: BatchEntry, items: Mapping[Epoch, int]) -> Iterator[Mark]:
    kept = 0
    for number, owner in enumerate(batch.epochs, 1):
        of = Epoch(batch.index, number)
        started_s = (owner["started_ms"] - job.submitted_ms) / 1000
        if number > 1:
            text = f"takes over batch {batch.index}, keeps {kept:,} of its {batch.count:,} items"
            worker = owner["worker"]
            yield Mark(started_s, "takeover", worker, of, text, kept=kept, items=batch.count)
        kept += items.get(of, 0)
        if owner["end_reason"] == "lost" and owner["ended_ms"] is not None:
            ended_s = (owner["ended_ms"] - job.submitted_ms) / 1000
            text = f"was lost while it ran batch {batch.index}"
            yield Mark(ended_s, "worker_lost", owner["worker"], of, text)
