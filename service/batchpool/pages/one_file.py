"""Pages as one file each: the style inside, no script, nothing loaded; opens from a disk."""

from base64 import b64encode
from functools import cache
from hashlib import sha256
from typing import Final

from batchpool.charts.svg import as_file
from batchpool.pages.rendering import render
from batchpool.pages.static_files import style_sections

_SECTIONS: Final = (
    "Elements",
    "Page frame",
    "Cards",
    "Key-value strip",
    "State badges",
    "Tables",
    "Progress",
    "Notices, empty and stale states",
    "Code",
    "Failures",
    "Charts",
    "Keys of charts, table twins",
    "Comparison",
    "Lesson",
    "Narrow",
)
"""What a page without forms, menus and a canvas needs of the style sheet."""


def render_file(template: str, **view: object) -> str:
    """The page of a template that extends file.html."""
    return render(template, policy=file_policy(), style=style_sections(*_SECTIONS), **view)


def file_policy() -> str:
    """The Content-Security-Policy of such a file: its own style, by its digest."""
    return _policy(style_sections(*_SECTIONS))


def chart_file(drawing: str) -> str:
    """A chart as a file of its own, with its style."""
    return as_file(drawing, style_sections("Charts"))


def chart_policy() -> str:
    """The Content-Security-Policy of such a chart."""
    return _policy(style_sections("Charts"))


@cache
def _policy(style: str) -> str:
    digest = b64encode(sha256(style.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
