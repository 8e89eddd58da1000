"""Glyphs of states and notices: each has an outline of its own, so that colour is never alone."""

from typing import Final

from markupsafe import Markup

_THIN: Final = 'class="glyph-line" stroke-width="1.4" stroke-linecap="round"'
_BOLD: Final = 'class="glyph-line" stroke-width="1.75" stroke-linecap="round"'
_RING: Final = '<circle cx="6" cy="6" r="4.25" class="glyph-line" stroke-width="1.5"'

GLYPHS: Final = {
    "queued": f'{_RING} stroke-dasharray="2 2.45"/>',
    "running": f'<g class="spin">{_RING} opacity=".35"/>'
    f'<path d="M6 1.75A4.25 4.25 0 0 1 10.25 6" {_BOLD}/></g>',
    "succeeded": f'<path d="M2.5 6.4 5 8.9 9.6 3.4" {_BOLD} stroke-linejoin="round"/>',
    "failed": f'<path d="M3 3l6 6M9 3 3 9" {_BOLD}/>',
    "timeout": f'<circle cx="6" cy="6" r="4.5" {_THIN}/><path d="M6 3.6V6l1.7 1.2" {_THIN}/>',
    "crashed": f'<path d="M6 1v10M1 6h10M2.6 2.6l6.8 6.8M9.4 2.6 2.6 9.4" {_THIN}/>',
    "cancelled": f'{_RING}/><path d="M3.2 8.8 8.8 3.2" class="glyph-line" stroke-width="1.5"/>',
    "parked": '<path d="M4 3v6M8 3v6" class="glyph-line" stroke-width="2" stroke-linecap="round"/>',
    "lost": f'<path d="M1.5 6h2l1.5-3 2 6 1.5-3h2" {_THIN} stroke-linejoin="round"/>',
    "idle": '<circle cx="6" cy="6" r="2.25" class="glyph-fill"/>',
    "info": f'<circle cx="6" cy="6" r="5" {_THIN}/><path d="M6 5.4v3" {_THIN}/>'
    '<circle cx="6" cy="3.5" r=".8" class="glyph-fill"/>',
    "warn": f'<path d="M6 1.2 11.2 10.4H.8z" {_THIN} stroke-linejoin="round"/>'
    f'<path d="M6 4.6v2.6" {_THIN}/><circle cx="6" cy="8.8" r=".7" class="glyph-fill"/>',
}
"""The inside of each glyph, drawn on 12 by 12."""


def glyph(name: str) -> Markup:
    """The glyph of a state, or of a notice; a dot for a state without one."""
    inside = GLYPHS.get(name, GLYPHS["idle"])
    return Markup(f'<svg viewBox="0 0 12 12" aria-hidden="true">{inside}</svg>')  # noqa: S704
