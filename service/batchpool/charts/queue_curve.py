"""How many wait, over time: a sparkline, and the same with axes."""

from collections.abc import Sequence
from itertools import pairwise

from batchpool.charts import numbers
from batchpool.charts.scales import LinearScale, ticks, time_ticks
from batchpool.charts.svg import (
    Caption,
    Table,
    chart,
    circle,
    coordinate,
    horizontal,
    path,
    text,
    vertical,
)

Sample = tuple[float, int]
"""A time in seconds, and how many waited from then on."""


def draw_sparkline(samples: Sequence[Sample], name: str, size: tuple[int, int] = (132, 28)) -> str:
    """A stepped line without axes, its end marked.

    Args:
        name: what is counted: "queued batches".
        size: width and height.
    """
    width, height = size
    x, y = _scales(samples, (2.0, width - 4.0), (height - 3.0, 5.0))
    line = _steps(samples, x, y)
    body = _area(line, x, height - 1) + path("line", line)
    if samples:
        body += circle("tip", x(samples[-1][0]), y(samples[-1][1]), 2.25)
    return chart("spark", size, body, _caption(samples, name))


def draw(samples: Sequence[Sample], name: str, size: tuple[int, int] = (560, 180)) -> str:
    """The same curve with both axes; times are relative to the last sample, which is now."""
    width, height = size
    x, y = _scales(samples, (40.0, width - 14.0), (height - 26.0, 20.0))
    body = text(0, 10, name)
    for tick in ticks(0, y.high, wanted=4):
        if tick.value == round(tick.value):
            body += path("grid", horizontal(40, y(tick.value), x.end))
            body += text(32, y(tick.value) + 4, tick.label.removesuffix(".0"), "end")
    end = samples[-1][0] if samples else 0.0
    for tick in time_ticks(0, max(1e-6, end - x.low), wanted=5):
        at = x(end - tick.value)
        ago = f"{tick.label} ago" if numbers.NO_BREAK in tick.label else tick.label
        body += path("grid", vertical(at, 16, y.start)) if tick.value else ""
        label = "now" if not tick.value else ago
        body += text(at, height - 8, label, "end" if not tick.value else "mid")
    line = _steps(samples, x, y)
    body += _area(line, x, y.start) + path("line", line)
    return chart("chart spark", size, body, _caption(samples, name))


def table(samples: Sequence[Sample], name: str) -> Table:
    """How many waited, how long ago."""
    end = samples[-1][0] if samples else 0.0
    rows = tuple((numbers.duration(end - at), numbers.count(value)) for at, value in samples)
    return Table(name.capitalize(), ("Ago", name.capitalize()), rows, figures=2)


def _scales(
    samples: Sequence[Sample], across: tuple[float, float], up: tuple[float, float]
) -> tuple[LinearScale, LinearScale]:
    first, last = (samples[0][0], samples[-1][0]) if samples else (0.0, 1.0)
    most = max((value for _, value in samples), default=0)
    return LinearScale(first, last, *across), LinearScale(0, max(1, most), *up)


def _steps(samples: Sequence[Sample], x: LinearScale, y: LinearScale) -> str:
    if not samples:
        return ""
    start = f"M{coordinate(x(samples[0][0]))} {coordinate(y(samples[0][1]))}"
    # A line of one level is one step, however many samples it has.
    turns = [
        f"H{coordinate(x(at))}V{coordinate(y(value))}"
        for (_, before), (at, value) in pairwise(samples)
        if value != before
    ]
    return start + "".join(turns) + f"H{coordinate(x(samples[-1][0]))}"


def _area(line: str, x: LinearScale, floor: float) -> str:
    return path("area", f"{line}V{coordinate(floor)}H{coordinate(x.start)}z") if line else ""


def _caption(samples: Sequence[Sample], name: str) -> Caption:
    if not samples:
        return Caption(name.capitalize(), "No sample yet.")
    most, now = max(value for _, value in samples), samples[-1][1]
    span = numbers.duration(samples[-1][0] - samples[0][0])
    figures = f"{numbers.count(now)} now, {numbers.count(most)} at most"
    return Caption(name.capitalize(), f"{figures} in the last {span}.")
