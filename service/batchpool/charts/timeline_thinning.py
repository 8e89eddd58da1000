"""Fewer marks for a static chart: bars become shares of time, bins become wider; none is lost."""

from collections.abc import Sequence
from typing import Final

from batchpool.charts.timeline_document import Bars, Bins, Lane, Timeline

MOST_BARS: Final = 10_000
"""Bars of one chart, some 32 bytes each."""

MOST_BINS: Final = 30_000
"""Bins of all lanes of one chart, some 20 bytes each."""


def thinned(document: Timeline, share: int = 1) -> Timeline:
    """The same timeline with at most `MOST_BARS` bars, or `MOST_BINS` bins.

    Args:
        share: of how many charts this is one; they divide what there may be.
    """
    lanes = document["lanes"]
    bars = sum(len(found["start"]) for lane in lanes if (found := lane.get("bars")))
    columns = max(20, min(document["width"], MOST_BINS // share // max(1, len(lanes))))
    if bars <= MOST_BARS // share and not document["binned"]:
        return document
    span = (document["from"], max(document["to"], document["from"] + 1e-6))
    fewer = [_thinned_lane(lane, span, columns) for lane in lanes]
    return {**document, "binned": True, "lanes": fewer}


def _thinned_lane(lane: Lane, span: tuple[float, float], columns: int) -> Lane:
    if bars := lane.get("bars"):
        return {**lane, "bars": None, "bins": _bins_of(bars, span, columns)}
    bins = lane.get("bins")
    return {**lane, "bins": _wider(bins, columns)} if bins else lane


def _bins_of(bars: Bars, span: tuple[float, float], columns: int) -> Bins:
    """Percent of each column that a task was in flight, and computed."""
    per_second = columns / (span[1] - span[0])
    busy, cpu = [0.0] * columns, [0.0] * columns
    failed: dict[int, list[int]] = {}
    rows = zip(*(bars[name] for name in ("index", "start", "wall", "cpu", "state")), strict=True)
    for index, start, wall, computed, state in rows:
        begin, end = (start - span[0]) * per_second, (start + wall - span[0]) * per_second
        solid = min(1.0, computed / wall) if wall > 0 else 0.0
        first, last = max(0, int(begin)), min(columns - 1, int(end))
        for column in range(first, last + 1):
            part = max(0.0, min(end, column + 1) - max(begin, column))
            busy[column] += part
            cpu[column] += part * solid
        if state not in "sr":
            at = min(columns - 1, first)
            failed.setdefault(at, [at, index, 0])[2] += 1
    return Bins(busy=_percents(busy), cpu=_percents(cpu), failed=list(failed.values()))


def _wider(bins: Bins, columns: int) -> Bins:
    """At most `columns` bins: neighbours become one, with their mean."""
    width = -(-len(bins["busy"]) // columns)
    if width <= 1:
        return bins
    failed: dict[int, list[int]] = {}
    for at, index, count in bins["failed"]:
        failed.setdefault(at // width, [at // width, index, 0])[2] += count
    return Bins(
        busy=_means(bins["busy"], width), cpu=_means(bins["cpu"], width), failed=[*failed.values()]
    )


def _means(shares: Sequence[int], width: int) -> list[int]:
    parts = (shares[at : at + width] for at in range(0, len(shares), width))
    return [_least_one(sum(part) / len(part)) for part in parts]


def _percents(shares: Sequence[float]) -> list[int]:
    return [_least_one(100 * min(1.0, share)) for share in shares]


def _least_one(percent: float) -> int:
    """A rounded percentage; what there is at all is at least 1."""
    return round(percent) or int(percent > 0)
