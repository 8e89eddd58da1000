"""The bars and bins of one lane as merged paths, so that 10,000 items stay small.

A bar's width is wall time; the height of its solid part is the share of it that computed, so that
the solid area is CPU time. It claims no order within the bar, since the record has none.
"""

from collections.abc import Sequence
from functools import cache

from batchpool.charts import numbers
from batchpool.charts.scales import LinearScale
from batchpool.charts.svg import coordinate, group, path, rectangle, text
from batchpool.charts.timeline_document import Bars, Bins

_GAP_PX, _LEAST_PX, _LEAST_SEEN_PX, _LEAST_CROSSED_PX = 0.8, 0.6, 2.0, 9.0
_NOT_OK = {"f": "failed", "t": "timeout", "x": "crashed", "c": "cancelled"}


@cache
def _tenths(value: int) -> str:
    """A number of tenths of a pixel, as short as it can be: 8.5, .8, -6.3, 14."""
    whole, rest = divmod(abs(value), 10)
    text = f"{whole or '' if rest else whole}{f'.{rest}' if rest else ''}"
    return f"-{text}" if value < 0 else text


class _Outline:
    """Boxes on the floor of a lane as one path; the next box starts from the end of the last."""

    def __init__(self, height: float) -> None:
        self._pieces: list[str] = []
        self._height = round(10 * height)
        self._floor = coordinate(height)
        self._x = 0

    def add(self, x: int, width: int, height: int) -> None:
        """Add a box; all in tenths of a pixel."""
        if height <= 0:
            return
        if not self._pieces:
            self._pieces.append(f"M{_tenths(x)} {self._floor}")
        elif x != self._x:
            gap = x - self._x
            # A line along the floor is shorter than a jump, but shows where it is long.
            self._pieces.append(f"h{_tenths(gap)}" if 0 < gap <= 15 else f"m{_tenths(gap)} 0")
        self._pieces.append(f"V{_tenths(self._height - height)}h{_tenths(width)}V{self._floor}")
        self._x = x + width

    def drawn(self, kind: str) -> str:
        """The path."""
        return path(kind, self._pieces)


def draw_bars(bars: Bars, x: LinearScale, height: float) -> str:
    """One bar per item; succeeded ones are merged, all others are drawn one by one and last."""
    walls, solids, single = _Outline(height), _Outline(height), []
    columns = (bars["start"], bars["wall"], bars["cpu"], bars["state"])
    for start, wall, cpu, state in zip(*columns, strict=True):
        left = round(10 * x(start))
        wide = round(10 * max(_LEAST_PX, x.width(wall) - _GAP_PX))
        share = min(1.0, cpu / wall) if wall > 0 else 0.0
        if state == "s":
            walls.add(left, wide, round(10 * height))
            solids.add(left, wide, round(10 * height * share))
        elif state == "r":
            frame = rectangle("frame", left / 10 + 0.5, 0.5, (wide / 10, height - 1), 1.5)
            single.append(group("open", frame))
        else:
            single.append(
                _draw_failed(_NOT_OK.get(state, "failed"), left / 10, wide / 10, (height, share))
            )
    return walls.drawn("wall") + solids.drawn("cpu") + "".join(single)


def _draw_failed(state: str, x: float, wide: float, shape: tuple[float, float]) -> str:
    """A bar of an item that did not succeed; `shape` is its height and its computing share."""
    height, share = shape
    wide = max(_LEAST_SEEN_PX, wide)
    level = height * share
    body = rectangle("wall", x, 0, (wide, height))
    body += rectangle("cpu", x, height - level, (wide, level)) if level > 0.05 else ""
    body += rectangle("frame", x, 0, (wide, height))
    middle = x + wide / 2
    if wide >= _LEAST_CROSSED_PX:
        sign = _sign(state, middle, height / 2)
        body += path("under", sign) + path("cross", sign)
    else:
        body += path("pin", f"M{coordinate(middle - 3)} -3.5h6l-3 4.5z")
    return group(f"bad {state}", body)


def _sign(state: str, x: float, y: float) -> str:
    """The sign of a state, so that colour is never alone: a cross, clock hands, a star, a slash."""
    start = f"M{coordinate(x - 3)} {coordinate(y - 3)}"
    if state == "timeout":
        return f"M{coordinate(x)} {coordinate(y - 3.5)}v3.5l3 2"
    if state == "crashed":
        return f"{start}l6 6m0-6l-6 6M{coordinate(x)} {coordinate(y - 4)}v8m-4-4h8"
    if state == "cancelled":
        return f"M{coordinate(x - 3)} {coordinate(y + 3)}l6-6"
    return f"{start}l6 6m0-6l-6 6"


def draw_bins(bins: Bins, x: LinearScale, height: float) -> str:
    """Stepped areas: the share of time a task was in flight, and the share it computed."""
    wide = (x.end - x.start) / max(1, len(bins["busy"]))
    areas = path("wall", _steps(bins["busy"], x.start, wide, height))
    return areas + path("cpu", _steps(bins["cpu"], x.start, wide, height))


def draw_pins(bins: Bins, x: LinearScale, height: float) -> str:
    """What failed in a binned lane: pins over it, with the item's number where there is room."""
    wide = (x.end - x.start) / max(1, len(bins["busy"]))
    pins, labels, free_from = [], "", x.start
    for place, index, amount in bins["failed"]:
        at = x.start + (place + 0.5) * wide
        left, floor = coordinate(at - 1), coordinate(height + 2)
        pins.append(f"M{left} -1h2v{floor}h-2zM{coordinate(at - 5)} -7h10l-5 7z")
        words = f"item {numbers.count(index)}"
        words += f" and {numbers.count(amount - 1)} more" if amount > 1 else ""
        room = len(words) * 6.0 + 14
        if at >= free_from and at + room <= x.end:
            labels += text(at + 9, -1, words, "pintext halo")
            free_from = at + room
        elif at + room > x.end and at - room >= free_from:
            labels += text(at - 9, -1, words, "pintext halo end")
            free_from = x.end
    return path("pin", pins) + labels


def _steps(shares: Sequence[int], start: float, wide: float, height: float) -> str:
    """A stepped area over the lane's floor; equal neighbours are one step."""
    floor = coordinate(height)
    pieces, before = [f"M{coordinate(start)} {floor}"], 0
    for at, share in enumerate(shares):
        if share != before:
            level = coordinate(height * (1 - min(100, share) / 100))
            pieces.append(f"H{coordinate(start + at * wide)}V{level}")
            before = share
    if len(pieces) == 1:
        return ""
    return "".join(pieces) + f"H{coordinate(start + len(shares) * wide)}V{floor}z"
