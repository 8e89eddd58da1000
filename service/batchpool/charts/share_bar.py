"""Bars of parts: the items of a job by state, and how much of a machine is in use."""

from collections.abc import Sequence

from batchpool.charts import numbers
from batchpool.charts.svg import Table
from batchpool.charts.visible_text import escaped

_LEAST = 0.6
"""A part that exists has at least this share of the bar, in percent."""


def draw_progress(parts: Sequence[tuple[str, int]], total: int, kind: str = "") -> str:
    """Items by state; what remains to 100 % is the track.

    Args:
        parts: state, which is also the class, and count; in the order of the bar.
        kind: "thin" or "fat".
    """
    known = [(state, amount) for state, amount in parts if amount > 0]
    said = ", ".join(f"{numbers.count(amount)} {state}" for state, amount in known)
    described = f"{said or 'none'} of {numbers.plural(total, 'item')}"
    widths = [max(_LEAST, 100 * amount / max(total, 1)) for _, amount in known]
    # What the smallest parts got beyond their share is taken from the largest.
    if widths and sum(widths) > 100:
        widths[widths.index(max(widths))] -= sum(widths) - 100
    body, x = "", 0.0
    for (state, _), width in zip(known, widths, strict=True):
        body += (
            f'<rect class="{state}" x="{x:.2f}" width="{max(0.2, width - 0.15):.2f}" height="8"/>'
        )
        x += width
    return _bar(f"progress {kind}".strip(), body, "Items by state", described)


def draw_utilisation(used: float, available: float, unit: str, kind: str = "thin") -> str:
    """How much of what there is is in use, such as CPUs; more than all fills the bar."""
    share = min(1.0, used / available) if available > 0 else 0.0
    body = f'<rect class="use" width="{100 * share:.2f}" height="8"/>' if share > 0 else ""
    described = f"{numbers.digits(used)} of {available:g} {unit}"
    return _bar(f"progress {kind}".strip(), body, f"{unit} in use", described)


def progress_table(parts: Sequence[tuple[str, int]], total: int) -> Table:
    """Count and share of each state."""
    rows = tuple(
        (state, numbers.count(amount), numbers.percent(amount / total if total else None))
        for state, amount in parts
    )
    return Table("Items by state", ("State", "Items", "Share"), rows, figures=2)


def _bar(kind: str, body: str, title: str, description: str) -> str:
    return (
        f'<svg class="{kind}" viewBox="0 0 100 8" preserveAspectRatio="none" role="img"'
        f' xmlns="http://www.w3.org/2000/svg"><title>{escaped(title)}</title>'
        f"<desc>{escaped(description)}</desc>"
        f'<rect class="rest" width="100" height="8"/>{body}</svg>'
    )
