"""How much faster each arm is, and how sure: dots for rounds, lines for intervals, log axis."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from batchpool.charts import numbers
from batchpool.charts.scales import LogScale, ratio_ticks
from batchpool.charts.svg import (
    Caption,
    Table,
    chart,
    circle,
    horizontal,
    path,
    rectangle,
    text,
    vertical,
)
from batchpool.charts.visible_text import shortened

Verdict = Literal["faster", "slower", "no difference shown", "reference"]

_TOP, _ROW, _TAIL = 30, 38, 274
_MOST_GUTTER, _LEAST_GUTTER = 320, 110
_NARROW, _NARROW_ROW = 480, 66
# Dots of one arm are spread by this order, so that equal ones stay apart and no order is claimed.
_SPREAD = (-7, 5, -3, 8, -5, 3, -8, 6, 0, -6, 4, -2)


@dataclass(frozen=True)
class ArmRatio:
    """One arm beside the reference.

    Args:
        ratio: how many times as fast as the reference; None without a verdict.
        low, high: the interval of `ratio`.
        rounds: the ratio of each round, all > 0.
        verdict: None if there is none; then the dots stay, and the mark goes.
        is_best: the arm that the conclusion names.
    """

    name: str
    ratio: float | None
    low: float | None
    high: float | None
    rounds: tuple[float, ...]
    verdict: Verdict | None
    is_best: bool = False


def draw(arms: Sequence[ArmRatio], min_effect: float, reference: str, width: int = 1160) -> str:
    """A row per arm; the shaded strip around 1 × is a difference too small to count.

    Where it is narrow, name and figures stand above the dots.

    Args:
        min_effect: the least difference that counts, as a share: 0.03.
        reference: name of the arm that the others are measured against.
    """
    is_narrow = width < _NARROW
    row = _NARROW_ROW if is_narrow else _ROW
    longest = max((len(arm.name) for arm in arms), default=0)
    gutter = min(_MOST_GUTTER, max(_LEAST_GUTTER, longest * 7 + 24))
    scale = _scale(arms, 8, width - 8) if is_narrow else _scale(arms, gutter, width - _TAIL)
    bottom = _TOP + row * len(arms)
    grounds, body = "", "" if is_narrow else _heads(width)
    for at, arm in enumerate(arms):
        y = _TOP + row * at
        if arm.is_best:
            grounds += rectangle("best", -8, y + 2, (width + 16, row - 4), 5)
        elif at and not arms[at - 1].is_best:
            grounds += path("rule", horizontal(0, y, width))
        if is_narrow:
            body += _words_above(arm, y, width) + _dots(arm, scale, y + row - 15)
        else:
            middle = y + row / 2
            body += _name(arm, middle + 4, gutter - 12) + _dots(arm, scale, middle)
            body += _figures(arm, middle + 4, width)
    body = _axis(scale, min_effect, bottom) + grounds + body
    caption = Caption(
        f"Speedup of each arm against {reference}", _described(arms, min_effect, reference)
    )
    return chart("chart dots", (width, bottom + 8), body, caption)


def table(arms: Sequence[ArmRatio]) -> Table:
    """Speedup, interval, number of rounds, slowest and fastest round, and verdict of each arm."""
    rows = tuple(
        (
            arm.name,
            arm.verdict or "no verdict",
            numbers.ratio(arm.ratio),
            numbers.interval(arm.low, arm.high),
            numbers.count(len(arm.rounds)),
            numbers.ratio(min(arm.rounds, default=None)),
            numbers.ratio(max(arm.rounds, default=None)),
        )
        for arm in arms
    )
    header = ("Arm", "Verdict", "Speedup", "Interval", "Rounds", "Slowest round", "Fastest round")
    return Table("Speedup of each arm", header, rows, figures=5)


def _scale(arms: Sequence[ArmRatio], start: float, end: float) -> LogScale:
    ends = [value for arm in arms for value in (arm.low, arm.high, *arm.rounds) if value]
    low, high = min([*ends, 0.94]), max([*ends, 1.06])
    return LogScale(low / 1.06, high * 1.06, start, end)


def _axis(scale: LogScale, min_effect: float, bottom: float) -> str:
    left, right = scale(max(scale.low, 1 - min_effect)), scale(min(scale.high, 1 + min_effect))
    body = rectangle("min", left, _TOP - 4, (right - left, bottom - _TOP + 8))
    for tick in ratio_ticks(scale):
        x, is_one = scale(tick.value), tick.value == 1
        body += path("ref" if is_one else "grid", vertical(x, _TOP - 4, bottom + 4))
        body += text(x, 14, tick.label, "strong mid" if is_one else "mid")
    return body


def _heads(width: float) -> str:
    right = width - _TAIL
    return (
        text(right + 66, 14, "speedup", "end")
        + text(right + 140, 14, "interval", "end")
        + text(right + 156, 14, "verdict")
    )


def _name(arm: ArmRatio, y: float, room: float, ground: str = "") -> str:
    kind = "strong" if arm.is_best else "t1"
    return text(0, y, shortened(arm.name, room), f"{kind} t12{ground}")


def _words_above(arm: ArmRatio, y: float, width: float) -> str:
    shown = numbers.ratio(arm.ratio) if arm.verdict else numbers.NOTHING
    interval = "" if arm.verdict in (None, "reference") else numbers.interval(arm.low, arm.high)
    kind = "strong" if arm.verdict in ("faster", "slower") else "t2"
    ground = "" if arm.is_best else " halo"
    return (
        _name(arm, y + 18, width - 60, ground)
        + text(width, y + 18, shown, "strong t12 end")
        + text(0, y + 33, arm.verdict or "no verdict", kind + ground)
        + text(width, y + 33, interval, "t2 end")
    )


def _dots(arm: ArmRatio, scale: LogScale, y: float) -> str:
    kind = arm.verdict if arm.verdict in ("faster", "slower") else "none"
    inside = "".join(
        circle("dot", scale(value), y + _SPREAD[at % len(_SPREAD)], 2.5)
        for at, value in enumerate(arm.rounds)
    )
    if arm.verdict and arm.low and arm.high:
        low, high = scale(arm.low), scale(arm.high)
        inside += path("ci", horizontal(low, y, high))
        inside += path("cap", vertical(low, y - 4, y + 4) + vertical(high, y - 4, y + 4))
    if arm.verdict and arm.ratio:
        inside += _mark(kind, scale(arm.ratio), y)
    return f'<g class="{kind}">{inside}</g>'


def _mark(kind: str, x: float, y: float) -> str:
    if kind == "slower":
        return rectangle("mark", x - 5, y - 5, (10, 10))
    return circle("mark", x, y, 6 if kind == "faster" else 4.5)


def _figures(arm: ArmRatio, y: float, width: float) -> str:
    right = width - _TAIL
    shown = numbers.ratio(arm.ratio) if arm.verdict else numbers.NOTHING
    is_shown = arm.verdict in ("faster", "slower")
    interval = "" if arm.verdict in (None, "reference") else numbers.interval(arm.low, arm.high)
    return (
        text(right + 66, y, shown, "strong t12 end")
        + text(right + 140, y, interval.replace(numbers.NO_BREAK, "\u2009"), "t2 end")
        + text(right + 156, y, arm.verdict or "no verdict", "strong" if is_shown else "t2")
    )


def _interval(arm: ArmRatio) -> str:
    return numbers.interval(arm.low, arm.high)


def _described(arms: Sequence[ArmRatio], min_effect: float, reference: str) -> str:
    said = [
        ", ".join((f"{arm.name}: {numbers.ratio(arm.ratio)}", _interval(arm), str(arm.verdict)))
        for arm in arms
        if arm.verdict not in (None, "reference")
    ]
    strip = f"The shaded strip is a difference below {numbers.percent(min_effect)}."
    how = "Log axis; a dot is one round, a line the interval, a mark the median."
    return " ".join(
        [f"How many times as fast as {reference}.", how, strip, "; ".join(said)]
    ).strip()
