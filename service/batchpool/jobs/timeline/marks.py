"""Marks of a timeline: workers that were lost, batches that were taken over, writes refused."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from batchpool.jobs.timeline.job_spans import OneEpoch
from batchpool.json_value import JsonObject
from batchpool.ledger.values.job_entries import BatchEntry, Epoch, JobEntry

MarkKind = Literal["worker_lost", "takeover", "run_again", "refused_write"]


@dataclass(frozen=True)
class Mark:
    """Something that happened to a batch; `of` is the epoch in whose lanes it is shown.

    `since_ms` is the last sign of life of a worker that was lost; `origin_ms` when the job was
    submitted; `indices` the items that were in flight and are run again.
    """

    at_ms: int
    kind: MarkKind
    worker: str
    of: OneEpoch
    text: str
    since_ms: int | None = None
    kept: int | None = None
    items: int | None = None
    indices: frozenset[int] = frozenset()
    origin_ms: int = 0

    def to_json(self) -> JsonObject:
        return {
            "at": (self.at_ms - self.origin_ms) / 1000,
            "kind": self.kind,
            "worker": self.worker,
            "batch": self.of.batch,
            "epoch": self.of.epoch,
            "from": None if self.since_ms is None else (self.since_ms - self.origin_ms) / 1000,
            "kept": self.kept,
            "items": self.items,
            "text": self.text,
        }


def marks_of(job: JobEntry, items: Mapping[OneEpoch, int]) -> list[Mark]:
    """The marks of a job by time.

    Args:
        items: recorded items of each epoch.
    """
    found = [mark for batch in job.batches for mark in _of_batch(batch, items)]
    found.sort(key=lambda mark: mark.at_ms)
    return [replace(mark, origin_ms=job.submitted_ms) for mark in found]


def _of_batch(batch: BatchEntry, items: Mapping[OneEpoch, int]) -> Iterator[Mark]:
    kept = 0
    before: Epoch | None = None
    for number, owner in enumerate(batch.epochs, 1):
        of = OneEpoch(batch.index, number)
        if before:
            yield from _takeover(batch, of, before, kept)
        kept += items.get(of, 0)
        if owner["end_reason"] == "lost" and owner["ended_ms"] is not None:
            yield _lost(of, owner, owner["ended_ms"])
        if "refused_ms" in owner:
            text = f"wrote to batch {batch.index}, which it had lost; refused"
            yield Mark(owner["refused_ms"], "refused_write", owner["worker"], of, text)
        before = owner


def _takeover(batch: BatchEntry, of: OneEpoch, before: Epoch, kept: int) -> Iterator[Mark]:
    owner = batch.epochs[of.epoch - 1]
    is_other = owner["worker"] != before["worker"]
    verb = "takes over" if is_other else "goes on in a new process with"
    text = f"{verb} batch {batch.index}, keeps {kept:,} of its {batch.count:,} items"
    started_ms, worker = owner["started_ms"], owner["worker"]
    yield Mark(started_ms, "takeover", worker, of, text, kept=kept, items=batch.count)
    in_flight = frozenset(before["lost"]["in_flight"]) if "lost" in before else None
    if in_flight:
        yield Mark(started_ms, "run_again", worker, of, "", indices=in_flight)


def _lost(of: OneEpoch, owner: Epoch, ended_ms: int) -> Mark:
    text = f"was lost while it ran batch {of.batch}"
    since_ms = None
    if "lost" in owner and "lease_ms" in owner:
        since_ms = owner["lost"]["lease_ended_ms"] - owner["lease_ms"]
    in_flight = len(owner["lost"]["in_flight"]) if "lost" in owner else None
    return Mark(ended_ms, "worker_lost", owner["worker"], of, text, since_ms, items=in_flight)
