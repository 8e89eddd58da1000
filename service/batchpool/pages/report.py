"""Reports: a page as one file that loads nothing, opens from a disk and prints."""

from base64 import b64encode
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from typing import Final

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
    "Code",
    "Failures",
    "Charts",
    "Keys of charts, table twins",
    "Comparison",
    "Narrow",
)


@dataclass(frozen=True)
class Report:
    """A file, and the Content-Security-Policy that it has in itself and is served with."""

    text: str
    policy: str


def render_report(template: str, **view: object) -> Report:
    """A template that extends report.html, with its style sheet inside."""
    css = style_sections(*_SECTIONS)
    policy = _policy(css)
    return Report(render(template, css=css, policy=policy, **view), policy)


def chart_style() -> tuple[str, str]:
    """The style sheet of a chart that is a file of its own, and its policy."""
    css = style_sections("Charts")
    return css, _policy(css)


@cache
def _policy(css: str) -> str:
    # What is inside of <style> is compared by its hash, so that no other style can be.
    digest = b64encode(sha256(css.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
