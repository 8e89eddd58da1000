"""The style sheet, scripts and icon: read once, named with a digest of their content."""

from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Final

_FOLDER: Final = Path(__file__).with_name("static")
_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}

_COMPONENTS: Final = "/* Components of the page."


@dataclass(frozen=True)
class StaticFile:
    """One file.

    Args:
        digest: of its content; with it in the address a browser may keep the file for good.
    """

    content: bytes
    media_type: str
    digest: str


@cache
def static_files() -> dict[str, StaticFile]:
    """The files by name."""
    return {
        path.name: StaticFile(
            path.read_bytes(), _TYPES[path.suffix], sha256(path.read_bytes()).hexdigest()[:16]
        )
        for path in _FOLDER.iterdir()
        if path.suffix in _TYPES
    }


def static_url(name: str) -> str:
    """The address of a file, of this very content."""
    return f"/static/{name}?v={static_files()[name].digest}"


@cache
def style_sections(*names: str) -> str:
    """The tokens of the style sheet, and its sections with these names.

    Raises:
        KeyError: there is no such section.
    """
    css = static_files()["page.css"].content.decode()
    tokens, _, components = css.partition(_COMPONENTS)
    first, *parts = components.split("/* ---- ")
    sections = {part.partition(":")[0].partition(" ---")[0]: part for part in parts}
    sections["Elements"] = first
    rules = [sections[name].partition("*/\n")[2] for name in names]
    return "".join([tokens, *rules])
