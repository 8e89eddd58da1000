"""What runs now: the lanes whose item has no record yet; pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from batchpool.jobs.timeline.job_spans import JobSpans, OneEpoch
from batchpool.jobs.timeline.tracks import Lane
from batchpool.ledger.values.job_entries import BatchEntry, Epoch, JobEntry


@dataclass(frozen=True)
class Running:
    """The items of a job that run now.

    Args:
        since_ns: the lanes, by their positions, in which one runs, with the end of what ran there
            before; since the job was submitted.
        elsewhere: owners of batches with the numbers of further items, of which no lane is known.
    """

    since_ns: Mapping[int, int]
    elsewhere: Sequence[tuple[Epoch, int]]


def find_running(job: JobEntry, spans: JobSpans, lanes: Sequence[Lane]) -> Running:
    """Where the items run that the batches say are running.

    A batch says how many, not where. But a lane that is free takes the next item at once, so they
    run in the lanes that have been without a record for longest.
    """
    since_ns: dict[int, int] = {}
    elsewhere = []
    for batch in job.batches:
        count = min(batch.tally.running, batch.count - batch.tally.recorded)
        if batch.state != "running" or not batch.epochs or count <= 0:
            continue
        free = sorted(_free_since(job, batch, spans, lanes))[:count]
        since_ns |= {at: since for since, at in free}
        if len(free) < count:
            elsewhere.append((batch.epochs[-1], count - len(free)))
    return Running(since_ns, elsewhere)


def _free_since(
    job: JobEntry, batch: BatchEntry, spans: JobSpans, lanes: Sequence[Lane]
) -> Iterator[tuple[int, int]]:
    """When each lane of the batch's owner ended its last item, with its position."""
    claim = spans.numbers.get(OneEpoch(batch.index, len(batch.epochs)))
    started_ns = (batch.epochs[-1]["started_ms"] - job.submitted_ms) * 1_000_000
    for at, lane in enumerate(lanes):
        if claim in lane.track.claims:
            last = lane.track.spans
            yield max(started_ns, last.start[lane.last - 1] + last.wall[lane.last - 1]), at
