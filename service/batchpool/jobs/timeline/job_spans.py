"""The spans of a whole job in lanes, grown block by block."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from operator import attrgetter
from typing import NamedTuple

from batchpool.jobs.timeline.spans import Spans
from batchpool.jobs.timeline.tracks import Lane, Place, Track, lanes_of
from batchpool.ledger.blocks.block_times import TimedBlock
from batchpool.ledger.blocks.record_codec import BlockTimes
from batchpool.ledger.values.job_entries import BatchEntry, JobEntry
from batchpool.model import TERMINAL_STATES, ExecutionSite

SHARED_BY = {"multiprocessing": "process", "threading": "thread", "asyncio": "coroutine"}
"""Backends whose items run side by side where one lane for each would be one per item."""


_NAMED_BY: dict[str, Callable[[ExecutionSite], object]] = {
    "process": attrgetter("ppid"),
    "thread": attrgetter("pid", "ppid"),
    "coroutine": lambda site: site,
    "": lambda site: site,
}
"""The part of a site by which the places of one epoch differ, by what shares them."""


class OneEpoch(NamedTuple):
    """One ownership of a batch, by their numbers."""

    batch: int
    epoch: int


@dataclass(frozen=True)
class JobSpans:
    """What a job's blocks say about when and where its items ran.

    Args:
        epochs: those of spans, which have their positions here.
        items: recorded items of each of them.
        blocks: blocks read of each batch.
        complete: no further block can come.
    """

    tracks: Mapping[Place, Track] = field(default_factory=dict)
    epochs: tuple[OneEpoch, ...] = ()
    items: Mapping[OneEpoch, int] = field(default_factory=dict)
    blocks: Mapping[int, int] = field(default_factory=dict)
    complete: bool = False

    @cached_property
    def total(self) -> int:
        """Items that have a span."""
        return sum(self.items.values())

    @cached_property
    def numbers(self) -> Mapping[OneEpoch, int]:
        """The positions of `epochs`."""
        return {epoch: number for number, epoch in enumerate(self.epochs)}

    @cached_property
    def last_ns(self) -> int:
        """When the last of them ended, since the job was submitted."""
        return max((track.last_ns for track in self.tracks.values()), default=0)

    @cached_property
    def lanes(self) -> list[Lane]:
        """All lanes: hosts, their workers, processes and threads, each by its first work."""
        first: dict[tuple[object, ...], int] = {}
        for place, track in self.tracks.items():
            for depth in (1, 2, 3):
                first[place[:depth]] = min(first.get(place[:depth], track.first_ns), track.first_ns)

        def rank(track: Track) -> list[tuple[int, str]]:
            names = (track.place.host, track.place.worker, str(track.place.pid))
            above = [(first[track.place[: at + 1]], name) for at, name in enumerate(names)]
            return [*above, (track.first_ns, str(track.place.thread))]

        ordered = sorted(self.tracks.values(), key=rank)
        return [lane for track in ordered for lane in lanes_of(track)]


ReadBlocks = Callable[[BatchEntry, int], Iterable[TimedBlock]]
"""Given a batch and how many of its blocks are known, reads the others."""


def grown(known: JobSpans, job: JobEntry, read: ReadBlocks) -> JobSpans:
    """The spans with those of the blocks that were written since; `known` stays as it is."""
    growth = _Growth(job, known)
    for batch in job.batches:
        for block in read(batch, known.blocks.get(batch.index, 0)):
            growth.add(batch, block)
    return growth.merged()


class _Growth:
    """New spans by place, beside what is known."""

    def __init__(self, job: JobEntry, known: JobSpans) -> None:
        self._job = job
        self._known = known
        self._with_sums = job.spec.shared_sum != "none"
        self._spans: dict[Place, Spans] = {}
        self._numbers = dict(known.numbers)
        self._items = Counter(known.items)
        self._blocks = Counter(known.blocks)

    def add(self, batch: BatchEntry, block: TimedBlock) -> None:
        self._blocks[batch.index] += 1
        times = block.times
        if times is None:
            return
        epoch = OneEpoch(batch.index, block.epoch)
        self._items[epoch] += len(times.indices)
        claim = self._numbers.setdefault(epoch, len(self._numbers))
        started_ms = batch.epochs[block.epoch - 1]["started_ms"]
        origin_ns = (started_ms - self._job.submitted_ms) * 1_000_000
        spans = Spans.of(times, claim, origin_ns, self._with_sums)
        for place, part in self._by_place(batch, block.epoch, times, spans):
            self._spans.setdefault(place, Spans.empty()).extend(part)

    def _by_place(
        self, batch: BatchEntry, epoch: int, times: BlockTimes, spans: Spans
    ) -> Iterable[tuple[Place, Spans]]:
        owner = batch.epochs[epoch - 1]
        shared_by = SHARED_BY.get(self._job.spec.backend, "")
        # Where each item has a process, a block has a site for each: few objects are made of them.
        names = list(map(_NAMED_BY[shared_by], times.site_table))
        numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
        sites = dict(zip(names, times.site_table, strict=True))
        places = [
            _place(owner["host"], owner["worker"], sites[name], shared_by) for name in numbers
        ]
        if len(places) == 1:
            return [(places[0], spans)]
        number_of_site = [numbers[name] for name in names]
        ranks = [number_of_site[site] for site in times.sites]
        return ((places[rank], part) for rank, part in spans.split_by(ranks))

    def merged(self) -> JobSpans:
        tracks = dict(self._known.tracks)
        # One by one, so that not everything is there twice.
        while self._spans:
            place, spans = self._spans.popitem()
            known = tracks.get(place)
            tracks[place] = known.with_more(spans) if known else Track.of(place, spans)
        return JobSpans(
            tracks=tracks,
            epochs=tuple(self._numbers),
            items=dict(self._items),
            blocks=dict(self._blocks),
            complete=self._job.state in TERMINAL_STATES,
        )


def _place(host: str, worker: str, site: ExecutionSite, shared_by: str) -> Place:
    if shared_by == "process":
        return Place(host, worker, None, site.ppid, 0, None, shared_by)
    if shared_by == "thread":
        return Place(host, worker, site.pid, site.ppid, 0, None, shared_by)
    # By its name, not its id: the next pool of a process goes on in the lanes of the one before.
    name = site.thread_name
    return Place(host, worker, site.pid, site.ppid, site.interpreter, name, shared_by)
