"""Reports and the style sheet inside of them."""

import random

import pytest

from batchpool.charts import timeline
from batchpool.charts.timeline_document import Timeline
from batchpool.pages.chart_card import ChartCard
from batchpool.pages.jobs.charts import job_charts
from batchpool.pages.one_file import chart_file, render_file
from batchpool.pages.static_files import style_sections
from tests.support import chart_samples
from tests.unit.charts.test_charts import ten_thousand_items


def size(cards: tuple[ChartCard, ...]) -> int:
    return sum(len((card.drawing + (card.narrow or "")).encode()) for card in cards)


def with_lanes(lanes: int, bins: int) -> Timeline:
    """A million items: shares of time that change from bin to bin."""
    document = chart_samples.timeline([chart_samples.lane("vm", at, 0) for at in range(lanes)])
    rng = random.Random(1)
    for lane in document["lanes"]:
        busy = [rng.randint(1, 100) for _ in range(bins)]
        lane["bars"], lane["bins"] = None, {"busy": busy, "cpu": busy[::-1], "failed": []}
    document["binned"], document["total"], document["shown"] = True, 1_000_000, 1_000_000
    return document


def test_ten_thousand_items_and_the_style_sheet_stay_below_400_kb(seed: int) -> None:
    text = render_file("file.html")
    cards = job_charts(ten_thousand_items(random.Random(seed)))
    assert size(cards) + len(text.encode()) < 392_000


@pytest.mark.parametrize(("lanes", "bins"), [(8, 1200), (100, 1000), (300, 333)])
def test_a_million_items_stay_below_950_kb_on_any_number_of_lanes(lanes: int, bins: int) -> None:
    cards = job_charts(with_lanes(lanes, bins))
    assert size(cards) < 950_000
    assert f"{lanes} lanes" in cards[0].note.replace("\u00a0", " ")


def test_a_report_has_only_the_sections_that_it_needs() -> None:
    css = chart_file(timeline.draw(chart_samples.takeover()))
    assert ".lanes .wall" in css and "--compute:" in css and ".topbar" not in css
    whole = render_file("file.html")
    assert ".verdict" in whole and "@media print" in whole
    with pytest.raises(KeyError):
        style_sections("No such section")
