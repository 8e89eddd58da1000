"""Charts as text: each was looked at once, in both themes, and is compared since then.

`CHARTS_WRITE=1 pytest tests/unit/charts` writes them anew; look at each that changed.
"""

import os
import re
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from batchpool.charts import (
    heat_map,
    queue_curve,
    ratio_dots,
    result_card,
    scaling_curve,
    share_bar,
    stacked_parts,
    timeline,
    timeline_arms,
)
from batchpool.charts.svg import Table
from tests.support import chart_samples as samples

FOLDER = Path(__file__).parents[2] / "data" / "charts"
STATES = (("succeeded", 307), ("failed", 10), ("running", 6))

CHARTS: dict[str, Callable[[], str]] = {
    "ratio-dots": lambda: ratio_dots.draw(samples.ARMS, 0.03, "sequential"),
    "ratio-dots-narrow": lambda: ratio_dots.draw(samples.ARMS, 0.03, "sequential", width=340),
    "stacked-parts": lambda: stacked_parts.draw(samples.PARTS),
    "stacked-parts-narrow": lambda: stacked_parts.draw(samples.PARTS, width=340),
    "heat-map": lambda: heat_map.draw(samples.GRID),
    "heat-map-narrow": lambda: heat_map.draw(samples.GRID, width=340),
    "scaling-curve": lambda: scaling_curve.draw(samples.POINTS, samples.LAW),
    "scaling-curve-refused": lambda: scaling_curve.draw(
        samples.POINTS[:2], None, samples.NO_LAW, width=340
    ),
    "sparkline": lambda: queue_curve.draw_sparkline(samples.QUEUE, "queued batches"),
    "queue-curve": lambda: queue_curve.draw(samples.QUEUE, "queued batches"),
    "progress": lambda: share_bar.draw_progress(STATES, 420, "fat"),
    "utilisation": lambda: share_bar.draw_utilisation(0.68, 2, "CPUs"),
    "timeline": lambda: timeline.draw(samples.takeover()),
    "timeline-narrow": lambda: timeline.draw(samples.takeover(), width=360),
    "timeline-binned": lambda: timeline.draw(samples.binned()),
    "result-card": lambda: result_card.draw(samples.CARD),
    "timeline-arms": lambda: timeline_arms.draw(samples.arm_runs()),
    "timeline-arms-narrow": lambda: timeline_arms.draw(samples.arm_runs(), width=340),
}
TABLES: dict[str, Callable[[], Table]] = {
    "ratio-dots": lambda: ratio_dots.table(samples.ARMS),
    "stacked-parts": lambda: stacked_parts.table(samples.PARTS),
    "heat-map": lambda: heat_map.table(samples.GRID),
    "scaling-curve": lambda: scaling_curve.table(samples.POINTS, samples.LAW),
    "queue-curve": lambda: queue_curve.table(samples.QUEUE, "queued batches"),
    "progress": lambda: share_bar.progress_table(STATES, 420),
    "timeline": lambda: timeline.table(samples.takeover()),
    "timeline-binned": lambda: timeline.table(samples.binned()),
    "timeline-arms": lambda: timeline_arms.table(samples.arm_runs()),
}


def by_line(drawn: str) -> str:
    """One element per line, so that a difference can be read."""
    return re.sub(r"(?<=>)(?=<)", "\n", drawn) + "\n"


@pytest.mark.parametrize("name", CHARTS)
def test_a_chart_is_what_was_looked_at(name: str) -> None:
    path, drawn = FOLDER / f"{name}.svg", by_line(CHARTS[name]())
    if os.environ.get("CHARTS_WRITE"):
        path.write_text(drawn)
    assert drawn == path.read_text()


def test_no_golden_chart_is_left_over() -> None:
    assert {path.stem for path in FOLDER.glob("*.svg")} == set(CHARTS)


@pytest.mark.parametrize("name", CHARTS)
def test_a_chart_is_xml_with_title_and_description(name: str) -> None:
    root = ElementTree.fromstring(CHARTS[name]())
    title, description = root[0], root[1]
    assert title.tag.endswith("title") and title.text
    assert description.tag.endswith("desc") and description.text
    # The Content-Security-Policy of pages allows no style attribute.
    assert not [each for each in root.iter() if "style" in each.attrib]


@pytest.mark.parametrize("name", TABLES)
def test_a_table_twin_has_a_cell_per_column(name: str) -> None:
    table = TABLES[name]()
    assert table.caption and table.rows
    assert {len(row) for row in table.rows} == {len(table.header)}
    assert 0 <= table.figures <= len(table.header)
