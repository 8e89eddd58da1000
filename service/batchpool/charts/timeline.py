"""The timeline of a job as one static chart: lanes by worker, PID and thread, a bar per item."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from batchpool.charts import numbers
from batchpool.charts.scales import LinearScale, time_ticks
from batchpool.charts.svg import (
    Caption,
    Table,
    chart,
    coordinate,
    group,
    horizontal,
    path,
    rectangle,
    text,
    vertical,
)
from batchpool.charts.timeline_bars import draw_bars, draw_bins, draw_pins
from batchpool.charts.timeline_document import Lane, Mark, Timeline
from batchpool.charts.timeline_marks import Placed, draw_loss, draw_marks
from batchpool.charts.timeline_thinning import thinned
from batchpool.charts.visible_text import shortened

TOP: Final = 24
MOST_MARKS: Final = 500
"""Of one chart; how many there are is said in its description."""
_NARROW: Final = 480
_WORKER_PX: Final = 27


@dataclass(frozen=True)
class Layout:
    """Sizes of the lanes of one chart, in pixels."""

    width: float
    gutter: float
    height: float
    gap: float

    def scale(self, from_s: float, to_s: float) -> LinearScale:
        """The time axis."""
        return LinearScale(from_s, to_s, self.gutter, self.width - 6)


def draw(document: Timeline, width: int = 1160) -> str:
    """The lanes of each worker below its name; where it is narrow without notes."""
    document = thinned(document)
    is_narrow = width < _NARROW
    layout = Layout(width, 92 if is_narrow else 148, 14 if is_narrow else 16, 4)
    x = layout.scale(document["from"], max(document["to"], document["from"] + 1e-6))
    rows, heads, bottom = _place(document, layout)
    marks = [mark for mark in document["marks"] if x.low <= mark["at"] <= x.high][:MOST_MARKS]
    now_s = None if document["now"] is None else min(document["now"], x.high)
    body = draw_axis(x, bottom, wanted=4 if is_narrow else 8, now_s=now_s) + heads
    body += "".join(_background(row, layout) for row in rows)
    body += "".join(draw_loss(mark, rows, x, layout.height) for mark in marks)
    body += "".join(group("", draw_lane(row.lane, x, layout.height), y=row.y) for row in rows)
    body += "".join(_name(row, layout) for row in rows)
    body += _sums(document, rows, x, layout) + _pins(rows, x, layout)
    body += draw_marks(marks, rows, x, layout.height)
    body += "" if now_s is None else _now(x(now_s), bottom)
    return chart("chart lanes", (width, bottom + 2), body, caption(document))


def table(document: Timeline) -> Table:
    """A row per lane: who ran how many items, and how busy it was."""
    rows = tuple(
        (
            lane["host"],
            lane["worker"],
            numbers.NOTHING if lane["pid"] is None else str(lane["pid"]),
            lane["thread"] or numbers.NOTHING,
            numbers.count(lane["items"]),
            *(numbers.percent(share) for share in _shares(lane, document)),
            numbers.count(_failed(lane)),
        )
        for lane in document["lanes"]
    )
    header = (
        "Host",
        "Worker",
        "PID",
        "Thread",
        "Items",
        "Task in flight",
        "Computing",
        "Not succeeded",
    )
    return Table("Lanes of the timeline", header, rows, figures=4)


def caption(document: Timeline) -> Caption:
    """What is shown, of how much, and what happened to it."""
    shown = _of(document["shown"], document["total"], "item")
    lanes = _of(document["lanes_shown"], document["lanes_total"], "lane")
    how = "as shares of time per pixel" if document["binned"] else "a bar per item"
    failed = sum(_failed(lane) for lane in document["lanes"])
    events = "; ".join(
        f"{mark['text']} at {numbers.duration(mark['at'])}" for mark in document["marks"][:20]
    )
    said = f"{shown} on {lanes}, {how}; {numbers.count(failed)} did not succeed."
    if len(document["marks"]) > MOST_MARKS:
        said += f" {_of(MOST_MARKS, len(document['marks']), 'mark')} are drawn."
    return Caption("Timeline", f"{said} {events}".strip())


def _of(shown: int, total: int, noun: str) -> str:
    return f"{numbers.count(shown)} of {numbers.plural(total, noun)}"


def draw_axis(x: LinearScale, bottom: float, wanted: int = 8, now_s: float | None = None) -> str:
    """The ticks of a time axis, with a line down to `bottom` at each; none stands below "now"."""
    near_s = 30 * (x.high - x.low) / (x.end - x.start)
    free = None if now_s is None else (now_s - near_s, now_s + near_s)
    body = ""
    for tick in time_ticks(x.low, x.high, wanted, free):
        at = x(tick.value)
        body += path("grid", vertical(at, TOP - 4, bottom)) + text(at, TOP - 12, tick.label, "mid")
    return body


def draw_lane(lane: Lane, x: LinearScale, height: float) -> str:
    """Queue wait, start-up, and bars or bins of one lane, from y = 0 down."""
    body = ""
    for start, end in lane["queue"]:
        body += path("queue", horizontal(x(start) + 1, height / 2, x(end) - 2))
    for start, end in lane["starts"]:
        size = (max(1.5, x.width(end - start)), height * 0.4)
        body += rectangle("startup", x(start), height * 0.3, size, 1.5)
    if bars := lane.get("bars"):
        return body + draw_bars(bars, x, height)
    bins = lane.get("bins")
    return body + (draw_bins(bins, x, height) if bins else "")


def _place(document: Timeline, layout: Layout) -> tuple[list[Placed], str, float]:
    """Where each lane is, the heads of the workers, and the bottom of the last lane."""
    rows: list[Placed] = []
    heads, y = "", float(TOP)
    numbered = enumerate(document["lanes"])
    for (host, worker), members in groupby(
        numbered, lambda each: (each[1]["host"], each[1]["worker"])
    ):
        lanes = list(members)
        y += 8 if rows else 0
        heads += _head(host, worker, [lane for _, lane in lanes], document["marks"], layout, y)
        y += _WORKER_PX
        for number, lane in lanes:
            rows.append(Placed(number, lane, y))
            y += layout.height + layout.gap
    return rows, heads, y - layout.gap + 6


def _head(
    host: str, worker: str, lanes: Sequence[Lane], marks: Sequence[Mark], layout: Layout, y: float
) -> str:
    """The name of a worker, and beside it what happened to it."""
    name = worker if worker.startswith(host) else f"{worker} on {host}"
    room = layout.width - layout.gutter - 6
    line = path("worker", horizontal(0, y + 21.5, layout.width - 6))
    if layout.width < _NARROW:
        return line + text(0, y + 14, shortened(name, layout.width), "group")
    note = shortened(" · ".join(_notes(worker, lanes, marks)), room, char_px=5.6)
    return (
        line
        + text(0, y + 14, shortened(name, layout.gutter - 10, char_px=7), "group")
        + text(layout.gutter, y + 14, note, "t2")
    )


def _notes(worker: str, lanes: Sequence[Lane], marks: Sequence[Mark]) -> list[str]:
    pids = {lane["pid"] for lane in lanes}
    barred = [bars for lane in lanes if (bars := lane.get("bars"))]
    batches = sorted({batch for bars in barred for batch in bars["batch"]})
    notes = [f"PID {pids.pop()}"] if len(pids) == 1 and lanes[0]["thread"] else []
    if batches:
        words = ", ".join(str(batch) for batch in batches[:6]) + (", …" if len(batches) > 6 else "")
        notes.append(f"{'batch' if len(batches) == 1 else 'batches'} {words}")
    return notes + [
        f"{mark['text']} at {numbers.duration(mark['at'])}"
        for mark in marks
        if mark["worker"] == worker and mark["kind"] != "run_again"
    ]


def _background(row: Placed, layout: Layout) -> str:
    size = (layout.width - 6 - layout.gutter, layout.height)
    return rectangle("lanebg", layout.gutter, row.y, size, 2)


def _name(row: Placed, layout: Layout) -> str:
    y = row.y + layout.height / 2 + 4
    if layout.width < _NARROW:
        return text(0, y, shortened(row.lane["label"], layout.gutter - 8), "mono t2")
    name, items = row.lane["label"], numbers.plural(row.lane["items"], "item")
    if len(name) * 6.4 + len(items) * 5.8 + 18 > layout.gutter:
        items = numbers.count(row.lane["items"])
    room = layout.gutter - 18 - 5.8 * len(items)
    return text(0, y, shortened(name, room), "mono t2") + text(layout.gutter - 10, y, items, "end")


def _pins(rows: Sequence[Placed], x: LinearScale, layout: Layout) -> str:
    return "".join(
        group("", draw_pins(bins, x, layout.height), y=row.y)
        for row in rows
        if (bins := row.lane.get("bins")) and bins["failed"]
    )


def _sums(document: Timeline, rows: Sequence[Placed], x: LinearScale, layout: Layout) -> str:
    """The shared sum as a step line on each lane, all on one scale."""
    steps = document["shared_sum"]["lane"] if document["shared_sum"] else {}
    highest = max((value for line in steps.values() for _, value in line), default=0.0)
    body = ""
    for row in rows:
        line = steps.get(str(row.number))
        if line and highest > 0:
            floor = row.y + layout.height
            start = f"M{coordinate(x(line[0][0]))} {coordinate(floor)}"
            body += path(
                "sum",
                start
                + "".join(
                    f"H{coordinate(x(at))}V{coordinate(floor - value / highest * layout.height)}"
                    for at, value in line
                ),
            )
    return body


def _now(at: float, bottom: float) -> str:
    return path("now", vertical(at, TOP - 6, bottom)) + text(at, 12, "now", "nowtext halo mid")


def _failed(lane: Lane) -> int:
    """How many items of a lane did not succeed."""
    if bars := lane.get("bars"):
        return sum(state not in "sr" for state in bars["state"])
    bins = lane.get("bins")
    return sum(amount for _, _, amount in bins["failed"]) if bins else 0


def _shares(lane: Lane, document: Timeline) -> tuple[float, float]:
    """Which share of the time shown a lane had a task in flight, and which share it computed."""
    span_s = max(1e-9, document["to"] - document["from"])
    whole = solid = 0.0
    if bars := lane.get("bars"):
        whole, solid = sum(bars["wall"]) / span_s, sum(bars["cpu"]) / span_s
    elif (bins := lane.get("bins")) and bins["busy"]:
        percents = 100 * len(bins["busy"])
        whole, solid = sum(bins["busy"]) / percents, sum(bins["cpu"]) / percents
    return round(min(1.0, whole), 3), round(min(1.0, solid), 3)
