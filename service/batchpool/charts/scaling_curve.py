"""How speedup grows with tasks in flight: measured points, and the fitted law if there is one."""

from collections.abc import Sequence
from dataclasses import dataclass

from batchpool.charts import numbers
from batchpool.charts.scales import LinearScale, ticks
from batchpool.charts.svg import Caption, Table, chart, circle, horizontal, path, text, vertical
from batchpool.charts.visible_text import wrapped

_LEFT, _TOP, _STEPS = 40, 24, 40
_WORDS_PX = 190
"""Room for the words at the ideal line."""


@dataclass(frozen=True)
class Point:
    """One arm: tasks in flight, its speedup, and the interval of that."""

    in_flight: float
    speedup: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Law:
    """The Universal Scalability Law: one task in each batch reaches `alone` × the reference.

    Args:
        serial: share of the work that only one can do at a time (sigma).
        crosstalk: cost of each pair that has to agree (kappa); 0 gives Amdahl's law.
        batches: over which the tasks in flight are spread evenly.
    """

    alone: float
    serial: float
    crosstalk: float
    batches: int = 1

    def __call__(self, in_flight: float) -> float:
        """The speedup with `in_flight` tasks, at least one per batch."""
        slots = in_flight / self.batches
        slower = 1 + self.serial * (slots - 1) + self.crosstalk * slots * (slots - 1)
        return self.alone * slots / slower


def draw(points: Sequence[Point], law: Law | None, reason: str = "", width: int = 560) -> str:
    """Points with their intervals, and a curve: dashed beyond the last point, at most twice as far.

    Args:
        law: None where no law was fitted.
        reason: why there is no law; stands on the chart.
    """
    lines = wrapped(reason, width - 20) if reason and not law else []
    top = _TOP + 15 * len(lines) + (8 if lines else 0)
    height = 266 + top
    first = min((p.in_flight for p in points), default=1.0)
    furthest = max((p.in_flight for p in points), default=1.0)
    x = LinearScale(0, furthest * (1.75 if law else 1.12), _LEFT, width - 14)
    until = min(x.high, furthest * 2)
    drawn = _values(law, (first, until)) if law else []
    highest = max([p.high or p.speedup for p in points] + [speedup for _, speedup in drawn] or [1])
    y = LinearScale(0, highest * 1.15, height - 38, top)
    body = _axes(points, x, y) + _ideal(x, y)
    if law:
        body += path("fit", _curve(law, (first, furthest), x, y))
        body += path("fit beyond", _curve(law, (furthest, until), x, y))
    body += "".join(text(0, 10 + 15 * at, line, "t2") for at, line in enumerate(lines))
    body += "".join(_point(point, x, y) for point in points)
    return chart("chart curve", (width, height), body, _caption(points, law, reason))


def table(points: Sequence[Point], law: Law | None) -> Table:
    """Speedup and interval at each number of tasks in flight, beside the law's."""
    rows = tuple(
        (
            f"{point.in_flight:g}",
            numbers.ratio(point.speedup),
            numbers.interval(point.low, point.high),
            numbers.ratio(law(point.in_flight)) if law else numbers.NOTHING,
        )
        for point in points
    )
    return Table("Scaling", ("Tasks in flight", "Speedup", "Interval", "Fitted"), rows, figures=3)


def _axes(points: Sequence[Point], x: LinearScale, y: LinearScale) -> str:
    body = ""
    for tick in ticks(0, y.high, "×", wanted=5):
        body += path("grid", horizontal(_LEFT, y(tick.value), x.end))
        body += text(_LEFT - 8, y(tick.value) + 4, tick.label, "end")
    body += path("axis", horizontal(_LEFT, y(0), x.end))
    last_px = -100.0
    for at in sorted({point.in_flight for point in points}):
        if x(at) - last_px >= 18:
            body += text(x(at), y.start + 16, f"{at:g}", "t2 mid")
            last_px = x(at)
    middle = (_LEFT + x.end) / 2
    return (
        body + text(middle, y.start + 34, "tasks in flight", "mid") + text(0, y.end - 14, "speedup")
    )


def _ideal(x: LinearScale, y: LinearScale) -> str:
    """The line on which each task in flight counts fully, and its label where there is room."""
    edge = min(x.high, y.high)
    start, end = (x(0), y(0)), (x(edge), y(edge))
    line = path("ideal", _line([start, end]))
    words = "each task in flight counts fully"
    if end[0] - 10 - _WORDS_PX >= _LEFT:
        return line + text(end[0] - 10, max(y.end - 2, end[1] - 6), words, "end halo")
    return line + text(end[0] + 8, end[1] + 12, words)


def _curve(law: Law, span: tuple[float, float], x: LinearScale, y: LinearScale) -> str:
    low, high = span
    if high <= low:
        return ""
    return _line([(x(in_flight), y(speedup)) for in_flight, speedup in _values(law, span)])


def _values(law: Law, span: tuple[float, float]) -> list[tuple[float, float]]:
    low, high = span
    steps = [low + (high - low) * step / _STEPS for step in range(_STEPS + 1)]
    return [(in_flight, law(in_flight)) for in_flight in steps]


def _line(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)


def _point(point: Point, x: LinearScale, y: LinearScale) -> str:
    at, bar = x(point.in_flight), ""
    if point.low is not None and point.high is not None:
        low, high = y(point.low), y(point.high)
        caps = horizontal(at - 4, low, at + 4) + horizontal(at - 4, high, at + 4)
        bar = path("bar", vertical(at, low, high) + caps)
    return bar + circle("point", at, y(point.speedup), 4)


def _caption(points: Sequence[Point], law: Law | None, reason: str) -> Caption:
    said = ", ".join(f"{numbers.ratio(p.speedup)} at {p.in_flight:g}" for p in points)
    fitted = "The line is the fitted law, dashed beyond what was measured." if law else reason
    return Caption(
        "Speedup by tasks in flight", f"Speedup against tasks in flight: {said}. {fitted}".strip()
    )
