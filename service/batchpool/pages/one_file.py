"""Pages as one file each: the style inside, no script, nothing loaded; opens from a disk."""

from base64 import b64encode
from hashlib import sha256

from markupsafe import Markup

from batchpool.pages.rendering import render
from batchpool.pages.static_files import static_files


def render_file(template: str, **view: object) -> str:
    """The page of a template that extends file.html."""
    return render(template, policy=file_policy(), style=_style(), **view)


def file_policy() -> str:
    """The Content-Security-Policy of such a file: its own style, by its digest."""
    digest = b64encode(sha256(_style().encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def _style() -> Markup:
    # Our own file, and not text of users; it holds no end tag.
    return Markup(static_files()["page.css"].content.decode())  # noqa: S704
