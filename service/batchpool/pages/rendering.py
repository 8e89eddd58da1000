"""Render templates: whole pages, or the fragments of one that a live page replaces."""

from collections.abc import Iterable
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from batchpool.charts import numbers
from batchpool.charts.svg import PATTERNS
from batchpool.charts.visible_text import visible
from batchpool.pages.frame import SECTIONS
from batchpool.pages.glyphs import glyph
from batchpool.pages.static_files import static_url
from batchpool.pages.text import in_words


def render(template: str, **view: object) -> str:
    """The whole page."""
    return _environment().get_template(template).render(view)


def render_fragments(template: str, names: Iterable[str], **view: object) -> str:
    """The named blocks of a page, each in its element, as `ui.live` writes them.

    Raises:
        KeyError: the page has no such block.
    """
    page = _environment().get_template(template)
    context = page.new_context(view)
    parts = ((name, "".join(page.blocks[name](context))) for name in names)
    return "\n".join(
        f'<div class="fragment" data-fragment="{name}">{inside}</div>' for name, inside in parts
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
        auto_reload=False,
    )
    environment.globals |= {
        "chart_patterns": PATTERNS,
        "sections": SECTIONS,
        "glyph": glyph,
        "static_url": static_url,
        "in_words": in_words,
        "numbers": numbers,
    }
    # A fragment is a block that is rendered alone, so that it sees globals but no import.
    for name in ("ui", "jobs"):
        environment.globals[name] = environment.get_template(f"{name}.html").module
    return environment


def _shown(value: object) -> object:
    """What `{{ value }}` writes: text of users holds nothing that a browser obeys."""
    if isinstance(value, Markup):
        return value
    return visible(value) if isinstance(value, str) else value
