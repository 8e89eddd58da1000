"""The result of a comparison as one picture: conclusion, arms, conditions, and its command."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from batchpool.charts import numbers
from batchpool.charts.svg import Caption, chart, circle, horizontal, path, rectangle, text
from batchpool.charts.visible_text import shortened, wrapped

WIDTH: Final = 720
_PAD, _LINE, _ROW = 20, 18, 24
_BAR_X, _BAR_WIDTH = 220, 224
_MONO_PX: Final = 6.4

Outcome = Literal["passed", "failed", "not proven"]


@dataclass(frozen=True)
class CardRow:
    """One arm: its median in seconds, its speed as a multiple of the reference's, and a verdict."""

    name: str
    median_s: float | None
    speedup: float | None
    verdict: str
    is_best: bool = False


@dataclass(frozen=True)
class Card:
    """What the picture says.

    Args:
        facts: task, items, rounds and where it was measured, as one line.
        conditions: outcome and sentence of each.
        command: repeats it.
    """

    title: str
    facts: str
    rows: Sequence[CardRow]
    conditions: Sequence[tuple[Outcome, str]]
    command: str


def draw(card: Card) -> str:
    """The picture, 720 px wide and as high as it needs to be."""
    body, y = "", _PAD + 14.0
    for line in wrapped(card.title, WIDTH - 2 * _PAD, 7.6):
        body += text(_PAD, y, line, "strong t14")
        y += 20
    for line in wrapped(card.facts, WIDTH - 2 * _PAD):
        body += text(_PAD, y, line, "t2")
        y += _LINE
    y += 6
    slowest = max((row.median_s or 0 for row in card.rows), default=0)
    for row in card.rows:
        body += _arm(row, y, slowest)
        y += _ROW
    y += 4
    for outcome, sentence in card.conditions:
        y += 8
        body += _mark(outcome, y)
        for line in wrapped(f"{outcome}: {sentence}", WIDTH - 2 * _PAD - 20, 6.4):
            body += text(_PAD + 20, y + 4, line, "t1 t12")
            y += _LINE
    y += 10
    body += path("rule", horizontal(_PAD, y, WIDTH - _PAD))
    y += 18
    for line in wrapped(card.command, WIDTH - 2 * _PAD, _MONO_PX):
        body += text(_PAD, y, line, "mono")
        y += 15
    height = y + 4
    frame = rectangle("cardframe", 0.5, 0.5, (WIDTH - 1, height - 1), 8)
    caption = Caption(card.title, ". ".join([card.facts, *(each for _, each in card.conditions)]))
    return chart("chart card-picture", (WIDTH, height), frame + body, caption)


def _arm(row: CardRow, y: float, slowest: float) -> str:
    name = shortened(row.name, _BAR_X - _PAD - 12)
    body = text(_PAD, y + 12, name, "strong t12" if row.is_best else "t1 t12")
    if row.median_s is not None and slowest:
        width = max(2.0, _BAR_WIDTH * row.median_s / slowest)
        body += rectangle("bar best" if row.is_best else "bar", _BAR_X, y + 2, (width, 12), 2)
    right = _BAR_X + _BAR_WIDTH + 12
    body += text(right + 66, y + 12, numbers.duration(row.median_s), "t2 t12 end")
    body += text(right + 116, y + 12, numbers.ratio(row.speedup), "strong t12 end")
    return body + text(right + 126, y + 12, row.verdict, "t2")


def _mark(outcome: Outcome, y: float) -> str:
    """A disc, a square or a ring, so that the outcomes differ without colour."""
    x = _PAD + 6
    if outcome == "passed":
        return circle("passed", x, y, 5)
    if outcome == "failed":
        return rectangle("failed", x - 5, y - 5, (10, 10))
    return circle("unproven", x, y, 4.5)
