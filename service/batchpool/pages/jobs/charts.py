"""The charts of a job, by name: the same in its report and over HTTP; pure."""

from typing import Final

from batchpool.charts import numbers, timeline
from batchpool.charts.timeline_document import Timeline
from batchpool.pages.chart_card import ChartCard

FEW_ITEMS: Final = 1000
"""So few are drawn for narrow pages too; a larger chart is scrolled there."""

_KEYS: Final = (
    ("cpu", "computing: by the height of the solid part"),
    ("held", "waiting or held up"),
    ("startup", "start-up"),
    ("queue", "in the queue"),
    ("failed", "failed"),
    ("lost", "worker lost"),
    ("take", "taken over"),
    ("again", "item run again"),
)


def job_charts(document: Timeline) -> tuple[ChartCard, ...]:
    """The charts of a job by name; none before an item has run."""
    if not document["lanes"]:
        return ()
    shown, total = document["lanes_shown"], document["lanes_total"]
    note = f"{numbers.count(document['shown'])} of {numbers.plural(document['total'], 'item')}"
    note += f" on {numbers.plural(total, 'lane')}" if shown == total else ""
    if shown < total:
        note += f" on {numbers.count(shown)} of {numbers.plural(total, 'lane')}"
    return (
        ChartCard(
            "timeline",
            "Timeline",
            timeline.draw(document),
            timeline.table(document),
            timeline.draw(document, 360) if document["shown"] <= FEW_ITEMS else None,
            note=note,
            keys=_KEYS,
        ),
    )
