"""The elements of charts; colours come from classes, so that one chart serves all themes."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from batchpool.charts.visible_text import escaped

_HATCHES: Final = (("hatch", 5, 45), ("lost", 6, -45), ("heldhatch", 5, 45), ("nodiff", 7, 45))

PATTERNS: Final = "".join(
    f'<pattern id="{name}" width="{step}" height="{step}" patternUnits="userSpaceOnUse"'
    f' patternTransform="rotate({angle})"><rect width="{step}" height="{step}"/>'
    f'<line x1="0" y1="0" x2="0" y2="{step}"/></pattern>'
    for name, step, angle in _HATCHES
)
"""Hatches that charts refer to by id: once on a page, or in a chart that is a file of its own."""


@dataclass(frozen=True)
class Table:
    """The same figures as a chart has, for those who cannot see it or want to copy them.

    Args:
        header: names of the columns.
        rows: cells as text; each row is as long as the header.
        figures: how many columns at the right hold figures, and are right-aligned.
    """

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    figures: int


def coordinate(value: float) -> str:
    """A coordinate: at most one decimal, no trailing zero."""
    text = f"{value:.1f}"
    text = text.removesuffix(".0")
    return "0" if text == "-0" else text


def text(x: float, y: float, words: str, kind: str = "") -> str:
    """A line of text; `kind` may have the classes `mid` and `end`, which anchor it."""
    place = f'x="{coordinate(x)}" y="{coordinate(y)}"'
    classes = f' class="{kind}"' if kind else ""
    return f"<text {place}{classes}>{escaped(words)}</text>"


def rectangle(kind: str, x: float, y: float, size: tuple[float, float], radius: float = 0) -> str:
    """A rectangle; `size` is its width and height."""
    shape = f'x="{coordinate(x)}" y="{coordinate(y)}" width="{coordinate(max(0.0, size[0]))}"'
    corner = f' rx="{coordinate(radius)}"' if radius else ""
    return f'<rect class="{kind}" {shape} height="{coordinate(size[1])}"{corner}/>'


def circle(kind: str, x: float, y: float, radius: float) -> str:
    """A circle."""
    place = f'cx="{coordinate(x)}" cy="{coordinate(y)}" r="{coordinate(radius)}"'
    return f'<circle class="{kind}" {place}/>'


def path(kind: str, pieces: str | Iterable[str]) -> str:
    """Lines or areas as one element; nothing where there are none."""
    joined = pieces if isinstance(pieces, str) else "".join(pieces)
    return f'<path class="{kind}" d="{joined}"/>' if joined else ""


def group(kind: str, body: str, x: float = 0, y: float = 0) -> str:
    """Elements with a class, moved by `x` and `y`."""
    moved = f' transform="translate({coordinate(x)} {coordinate(y)})"' if x or y else ""
    return f'<g class="{kind}"{moved}>{body}</g>'


def horizontal(x: float, y: float, to_x: float) -> str:
    """The piece of a path: a line to the right."""
    return f"M{coordinate(x)} {coordinate(y)}H{coordinate(to_x)}"


def vertical(x: float, y: float, to_y: float) -> str:
    """The piece of a path: a line down."""
    return f"M{coordinate(x)} {coordinate(y)}V{coordinate(to_y)}"


@dataclass(frozen=True)
class Caption:
    """What a chart is called, and what it shows, in words."""

    title: str
    description: str


def chart(kind: str, size: tuple[float, float], body: str, caption: Caption) -> str:
    """A chart of a page: `body` on a surface of width and height `size`, in pixels."""
    width, height = coordinate(size[0]), coordinate(size[1])
    return (
        f'<svg class="{kind}" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
        f' role="img" xmlns="http://www.w3.org/2000/svg"><title>{escaped(caption.title)}</title>'
        f"<desc>{escaped(caption.description)}</desc>{body}</svg>"
    )


def as_file(drawn: str, css: str) -> str:
    """A chart as a file of its own: with the hatches and the style sheet that it needs."""
    ends = drawn.index("</desc>") + len("</desc>")
    own = f"<style>{css.replace('<', '&lt;')}</style><defs>{PATTERNS}</defs>"
    return f"{_VIEW.sub(_with_margin, drawn[:ends], count=1)}{own}{drawn[ends:]}\n"


_VIEW: Final = re.compile(r'viewBox="0 0 (\S+) (\S+)" width="\S+" height="\S+"')
_MARGIN: Final = 12


def _with_margin(size: re.Match[str]) -> str:
    width, height = (coordinate(float(each) + 2 * _MARGIN) for each in size.groups())
    view = f"-{_MARGIN} -{_MARGIN} {width} {height}"
    return f'viewBox="{view}" width="{width}" height="{height}"'
