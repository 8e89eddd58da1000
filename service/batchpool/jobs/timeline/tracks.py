"""Tracks: the spans of one place in lanes in which nothing overlaps, ready to be cut and summed."""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from heapq import heappush, heapreplace
from itertools import accumulate, chain, compress, count
from operator import add, gt, sub
from typing import NamedTuple

from batchpool.jobs.timeline.spans import Spans
from batchpool.model import RECORD_STATES

OVERLAP_NS = 50_000_000
"""What runs longer beside another span of its place is no difference between two clocks."""

_IS_FAILURE = bytes(state in ("failed", "timeout", "crashed") for state in RECORD_STATES)


class Place(NamedTuple):
    """Where items ran: a thread of a process, or what shares that much.

    Args:
        shared_by: what runs there side by side, each for one item: process, thread or coroutine;
            '' where items run one after the other. `pid` and `thread` are None where it has many.
    """

    host: str
    worker: str
    pid: int | None
    ppid: int
    interpreter: int
    thread: str | None
    shared_by: str = ""


@dataclass(frozen=True)
class Track:
    """The spans of a place, sorted by lane and start.

    Args:
        ends_of_lanes: the position after the last span of each lane.
        wall_sums, cpu_sums: of all spans before a position, one more than there are spans.
        failures: positions of spans that failed, ascending.
        claims: the epochs that ran something here, ascending.
    """

    place: Place
    spans: Spans
    ends_of_lanes: Sequence[int]
    wall_sums: "array[int]"
    cpu_sums: "array[int]"
    failures: "array[int]"
    claims: Sequence[int]
    first_ns: int
    last_ns: int

    @classmethod
    def of(cls, place: Place, spans: Spans) -> "Track":
        """Put the spans, at least one, into lanes."""
        if any(map(gt, spans.start, spans.start[1:])):
            spans = spans.ordered_by(spans.start)
        last_ns = max(map(add, spans.start, spans.wall))
        first_ns = spans.start[0]
        if place.shared_by or _overlap(spans):
            lanes = _pack(spans)
            spans = spans.at(list(chain.from_iterable(lanes)))
            ends = list(accumulate(map(len, lanes)))
        else:
            ends = [len(spans)]
        failed = spans.state.tobytes().translate(_IS_FAILURE.ljust(256, b"\0"))
        return cls(
            place=place,
            spans=spans,
            ends_of_lanes=ends,
            wall_sums=array("q", accumulate(spans.wall, initial=0)),
            cpu_sums=array("q", accumulate(spans.cpu, initial=0)),
            failures=array("I", compress(count(), failed)),
            claims=sorted(set(spans.claim)),
            first_ns=first_ns,
            last_ns=last_ns,
        )

    def with_more(self, spans: Spans) -> "Track":
        """A track of these spans and further ones."""
        merged = self.spans.part(0, len(self.spans))
        merged.extend(spans)
        return Track.of(self.place, merged)


class Lane(NamedTuple):
    """The spans of a track from position `first` to before `last`; `number` counts its lanes."""

    track: Track
    number: int
    first: int
    last: int

    def visible(self, start_ns: int, end_ns: int) -> range:
        """The positions of the spans that reach into a window."""
        spans = self.track.spans
        stop = bisect_left(spans.start, end_ns, self.first, self.last)
        begin = max(self.first, bisect_right(spans.start, start_ns, self.first, self.last) - 1)
        if begin < stop and spans.start[begin] + spans.wall[begin] < start_ns:
            begin += 1
        return range(begin, max(begin, stop))

    def elapsed(self, edges: Iterable[int]) -> tuple[list[int], list[float]]:
        """Wall and CPU time of this lane's spans up to each of the times, which ascend.

        CPU time counts as spread evenly over its span.
        """
        spans = self.track.spans
        wall_sums, cpu_sums = self.track.wall_sums, self.track.cpu_sums
        walls: list[int] = []
        cpus: list[float] = []
        at = self.first
        for edge in edges:
            at = bisect_right(spans.start, edge, at, self.last)
            wall, cpu = wall_sums[at], float(cpu_sums[at])
            # Only the last span that has begun may be unfinished.
            if at > self.first:
                left = spans.start[at - 1] + spans.wall[at - 1] - edge
                if left > 0:
                    wall -= left
                    cpu -= spans.cpu[at - 1] * left / spans.wall[at - 1]
            walls.append(wall)
            cpus.append(cpu)
        return walls, cpus

    def failures(self, positions: range) -> "array[int]":
        """Those of the positions whose spans failed."""
        failed = self.track.failures
        first = bisect_left(failed, positions.start)
        return failed[first : bisect_left(failed, positions.stop, first)]


def lanes_of(track: Track) -> list[Lane]:
    """The lanes of a track in order."""
    firsts = [0, *track.ends_of_lanes[:-1]]
    pairs = zip(firsts, track.ends_of_lanes, strict=True)
    return [Lane(track, number, first, last) for number, (first, last) in enumerate(pairs)]


def _overlap(spans: Spans) -> bool:
    """Whether spans, sorted by start, overlap by more than clocks differ."""
    lengths = map(sub, spans.start[1:], spans.start)
    return any(map(OVERLAP_NS.__lt__, map(sub, spans.wall, lengths)))


def _pack(spans: Spans) -> "list[array[int]]":
    """The positions, by lane, of spans sorted by start: each in the lane that is free first."""
    ends: list[tuple[int, int]] = []
    lanes: list[array[int]] = []
    for at, (start, wall) in enumerate(zip(spans.start, spans.wall, strict=True)):
        if ends and ends[0][0] <= start:
            lane = ends[0][1]
            heapreplace(ends, (start + wall, lane))
            lanes[lane].append(at)
        else:
            heappush(ends, (start + wall, len(lanes)))
            lanes.append(array("I", [at]))
    return lanes
