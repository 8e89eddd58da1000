"""The report of a job: how it ended, its timeline, what failed, and how it ran; pure."""

from dataclasses import dataclass
from typing import Final

from batchpool.charts import numbers, timeline
from batchpool.charts.timeline_document import Timeline
from batchpool.json_value import JsonObject
from batchpool.pages.chart_card import ChartCard
from batchpool.pages.job import JobView
from batchpool.pages.job_sums import SharedSumView

MOST_GROUPS: Final = 20
"""Kinds of failure in a report; how many there are is said."""
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


@dataclass(frozen=True)
class FailureGroup:
    """Failures of one kind.

    Args:
        where: file, line and function of the task's own code, "" if not known.
        items: their indices, as text.
        sample: the item that the message and the traceback are from.
    """

    kind: str
    where: str
    count: str
    items: str
    sample: int
    message: str
    traceback: str


@dataclass(frozen=True)
class JobReport:
    """What the report of a job shows."""

    job: JobView
    charts: tuple[ChartCard, ...]
    failures: tuple[FailureGroup, ...]
    failures_note: str
    shared_sum: SharedSumView | None


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


def build_report(
    job: JobView, document: Timeline, failures: JsonObject, shared_sum: SharedSumView | None
) -> JobReport:
    """The report of a job.

    Args:
        failures: as `GET /v1/jobs/{id}/errors` shows them.
    """
    groups, total = failures["groups"], failures["groups_total"]
    note = numbers.plural(failures["total"], "item")
    if total > MOST_GROUPS:
        note += f"; {MOST_GROUPS} of {numbers.count(total)} kinds shown"
    return JobReport(
        job=job,
        charts=job_charts(document),
        failures=tuple(_group(each) for each in groups[:MOST_GROUPS]),
        failures_note=note,
        shared_sum=shared_sum,
    )


def _group(group: JsonObject) -> FailureGroup:
    frame, sample = group["frame"], group["samples"][0]
    error = sample["error"] or {}
    items = ", ".join(numbers.count(index) for index in group["indices"][:3])
    return FailureGroup(
        kind=group["type"],
        where=f"{frame['function']}, {frame['file']}:{frame['line']}" if frame else "",
        count=numbers.count(group["count"]),
        items=f"{items} …" if group["count"] > 3 else items,
        sample=sample["index"],
        message=error.get("message") or "",
        traceback=(error.get("traceback") or "").strip(),
    )
