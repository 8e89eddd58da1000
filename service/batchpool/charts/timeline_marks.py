"""Marks on the lanes of a timeline: lost workers, takeovers, items run again, refused writes."""

from collections.abc import Sequence
from dataclasses import dataclass

from batchpool.charts import numbers
from batchpool.charts.scales import LinearScale
from batchpool.charts.svg import circle, coordinate, path, rectangle, text
from batchpool.charts.timeline_document import Lane, Mark


@dataclass(frozen=True)
class Placed:
    """A lane on the chart: its number in the document, its lane, and the y of its top."""

    number: int
    lane: Lane
    y: float


def draw_marks(marks: Sequence[Mark], rows: Sequence[Placed], x: LinearScale, height: float) -> str:
    """All marks; they are drawn over the bars."""
    draw = {
        "worker_lost": _draw_lost,
        "takeover": _draw_takeover,
        "run_again": _draw_again,
        "refused_write": _draw_refused,
    }
    return "".join(draw[mark["kind"]](mark, _rows_of(mark, rows), x, height) for mark in marks)


def draw_loss(mark: Mark, rows: Sequence[Placed], x: LinearScale, height: float) -> str:
    """The hatch from a worker's last sign of life until that was noticed; below the bars."""
    start, end = mark["from"], mark["at"]
    if mark["kind"] != "worker_lost" or start is None:
        return ""
    wide = x.width(end - start)
    return "".join(
        rectangle("lost", x(start), row.y, (wide, height)) for row in _rows_of(mark, rows)
    )


def _rows_of(mark: Mark, rows: Sequence[Placed]) -> list[Placed]:
    """The lanes that a mark is on: those of its worker that ran its epoch of its batch."""
    if mark["kind"] in ("run_again", "refused_write"):
        return [row for row in rows if row.number == mark["lane"]]
    of_worker = [row for row in rows if row.lane["worker"] == mark["worker"]]
    # In bins no epoch is known.
    return [row for row in of_worker if _ran(row, mark)] or of_worker


def _ran(row: Placed, mark: Mark) -> bool:
    bars = row.lane.get("bars")
    epochs = zip(bars["batch"], bars["epoch"], strict=True) if bars else ()
    return (mark["batch"], mark["epoch"]) in epochs


def _draw_lost(mark: Mark, rows: Sequence[Placed], x: LinearScale, height: float) -> str:
    start = mark["at"] if mark["from"] is None else mark["from"]
    at, body = x(start), ""
    for row in rows:
        middle = row.y + height / 2
        radius = min(5.5, height / 2)
        body += path(
            "lostline", f"M{coordinate(at)} {coordinate(row.y - 3)}v{coordinate(height + 6)}"
        )
        body += circle("flag", at, middle, radius)
        left, top = coordinate(at - 2.2), coordinate(middle - 2.2)
        body += path("flagcross", f"M{left} {top}l4.4 4.4m0-4.4l-4.4 4.4")
    words = f"no sign of life for {numbers.duration(mark['at'] - start)}"
    if rows and x.width(mark["at"] - start) >= len(words) * 6.2 + 24:
        y = rows[len(rows) // 2].y + height / 2 + 4
        body += text((at + x(mark["at"])) / 2, y, words, "flagtext halo mid")
    return body


def _draw_takeover(mark: Mark, rows: Sequence[Placed], x: LinearScale, height: float) -> str:
    at = coordinate(x(mark["at"]) - 0.5)
    pole = coordinate(height + 6)
    return path(
        "take",
        (
            f"M{at} {top}h1.5v{pole}h-1.5zM{at} {top}l8.5 4.2-8.5 4.2z"
            for top in (coordinate(row.y - 3) for row in rows)
        ),
    )


def _draw_again(mark: Mark, rows: Sequence[Placed], x: LinearScale, height: float) -> str:
    body = ""
    for row in rows[:1]:
        at, middle = x(mark["at"]) + 11, row.y + height / 2
        start = f"M{coordinate(at + 3.2)} {coordinate(middle - 2.4)}"
        body += circle("surface", at, middle, 6.5)
        body += path("again", f"{start}a4 4 0 1 0 .8 2.8")
        body += path("againhead", f"M{coordinate(at + 4.8)} {coordinate(middle - 5)}v4.2h-4.2z")
    return body


def _draw_refused(mark: Mark, rows: Sequence[Placed], x: LinearScale, height: float) -> str:
    body = ""
    for row in rows[:1]:
        # The write may come long after the job has ended.
        at, middle = min(x(mark["at"]), x.end), row.y + height / 2
        body += circle("refused", at, middle, 4.5)
        body += path("refused", f"M{coordinate(at - 3.1)} {coordinate(middle + 3.1)}l6.2-6.2")
    return body
