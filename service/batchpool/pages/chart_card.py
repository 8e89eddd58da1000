"""A chart as a page and a report show it: drawn wide and narrow, with its key and its twin."""

from dataclasses import dataclass

from batchpool.charts.svg import Table


@dataclass(frozen=True)
class ChartCard:
    """One chart of a page.

    Args:
        name: in addresses: `?chart=ratios`.
        drawing: SVG at the width of its place.
        narrow: SVG for 390 px; None if the wide one is scrolled there.
        table: the same figures.
        note: beside the title.
        footer: a sentence below the chart.
        keys: what marks mean: (key of `ui.key`, words).
        is_half: takes half the width of a page.
    """

    name: str
    title: str
    drawing: str
    table: Table
    narrow: str | None = None
    note: str = ""
    footer: str = ""
    keys: tuple[tuple[str, str], ...] = ()
    is_half: bool = False
