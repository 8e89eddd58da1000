"""A job as a notebook shows it."""

from base64 import b64encode
from html import escape


def job_html(text: str, timeline: bytes | None) -> str:
    """Return one line of text, with the timeline (SVG) as an image below it."""
    line = f"<code>{escape(text)}</code>"
    if timeline is None:
        return line
    # An image: the style inside an SVG must not reach the page around it.
    source = b64encode(timeline).decode()
    return f'{line}<br><img alt="Timeline" src="data:image/svg+xml;base64,{source}">'
