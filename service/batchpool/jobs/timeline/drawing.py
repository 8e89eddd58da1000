"""The contents of lanes: bars one by one, shares of bins, steps of the shared sum; pure."""

from bisect import bisect_left
from collections.abc import Sequence
from math import isnan
from operator import sub

from batchpool.jobs.timeline.job_spans import OneEpoch
from batchpool.jobs.timeline.tracks import Lane
from batchpool.json_value import JsonObject
from batchpool.model import RECORD_STATES

LETTERS = "sftxc"
"""Of the states, in the order of RECORD_STATES: x is crashed."""
_TO_LETTERS = LETTERS.encode().ljust(256, b"?")
assert len(LETTERS) == len(RECORD_STATES)

MOST_STEPS = 50_000
"""Points of the shared sum, of all lanes together."""


def bars(epochs: Sequence[OneEpoch], lane: Lane, visible: range) -> JsonObject:
    """The visible spans of a lane, as columns."""
    part = lane.track.spans.part(visible.start, visible.stop)
    of = [epochs[number] for number in part.claim]
    return {
        "index": part.index.tolist(),
        "start": _seconds(part.start),
        "wall": _seconds(part.wall),
        "cpu": _seconds(part.cpu),
        "state": part.state.tobytes().translate(_TO_LETTERS).decode(),
        "attempt": part.attempt.tolist(),
        "epoch": [epoch for _, epoch in of],
        "batch": [batch for batch, _ in of],
    }


def _seconds(times_ns: Sequence[int]) -> list[float]:
    """Nanoseconds as seconds, to the microsecond."""
    return [time_ns // 1000 / 1e6 for time_ns in times_ns]


def edges(start_ns: int, stop_ns: int, bins: int) -> list[int]:
    """The bounds of so many bins."""
    return [start_ns + (stop_ns - start_ns) * at // bins for at in range(bins + 1)]


def bins(lane: Lane, visible: range, bounds: Sequence[int]) -> JsonObject:
    """The visible spans of a lane, summed up by bins."""
    walls, cpus = lane.elapsed(bounds)
    return {
        "busy": shares(walls, bounds),
        "cpu": shares(cpus, bounds),
        "failed": _failed(lane, visible, bounds),
    }


def shares(elapsed: Sequence[float], bounds: Sequence[int], lanes: int = 1) -> list[int]:
    """The share of each bin in % that is between what had elapsed at its bounds.

    What there is at all is at least 1.
    """
    return [
        0 if part <= 0 else min(100, max(1, round(100 * part / (width * lanes))))
        for part, width in zip(
            map(sub, elapsed[1:], elapsed), map(sub, bounds[1:], bounds), strict=True
        )
        if width > 0
    ]


def _failed(lane: Lane, visible: range, bounds: Sequence[int]) -> list[list[int]]:
    """[bin, index of the first, count] of the spans that failed, by the bin in which they began.

    Those that began before the first bin are in that one.
    """
    failed = lane.failures(visible)
    spans, found, at = lane.track.spans, [], 0
    while at < len(failed):
        first = failed[at]
        bound = max(1, bisect_left(bounds, spans.start[first] + 1))
        # The first position that begins in a later bin, then the first failure from there on.
        stop = bisect_left(spans.start, bounds[min(bound, len(bounds) - 1)], first, visible.stop)
        after = max(at + 1, bisect_left(failed, stop, at))
        found.append([min(bound, len(bounds) - 1) - 1, spans.index[first], after - at])
        at = after
    return found


def shared_sums(lanes: Sequence[Lane], visible: Sequence[range], width: int) -> JsonObject:
    """[end, the shared sum as seen then] of spans, by the number of their lane.

    Of the visible ones of a lane every n-th, so that there are at most `width`, and the last.
    """
    most = max(2, min(width, MOST_STEPS // max(1, len(lanes))))
    return {
        "lane": {
            str(number): _steps(lane, positions, most)
            for number, (lane, positions) in enumerate(zip(lanes, visible, strict=True))
        }
    }


def _steps(lane: Lane, positions: range, most: int) -> list[list[float]]:
    spans = lane.track.spans
    chosen = list(positions[:: max(1, -(-len(positions) // most))])
    if positions and chosen[-1] != positions[-1]:
        chosen.append(positions[-1])
    return [
        [(spans.start[at] + spans.wall[at]) // 1000 / 1e6, spans.seen[at]]
        for at in chosen
        if not isnan(spans.seen[at])
    ]
