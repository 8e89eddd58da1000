"""One run of each arm of a comparison, as small timelines on one time axis."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from batchpool.charts import numbers
from batchpool.charts.svg import Caption, Table, chart, group, rectangle, text
from batchpool.charts.timeline import TOP, Layout, draw_axis, draw_lane
from batchpool.charts.timeline_bars import draw_pins
from batchpool.charts.timeline_document import Timeline
from batchpool.charts.timeline_thinning import thinned
from batchpool.charts.visible_text import shortened

_NAME_PX = 7.0
_NARROW, _NAME_ROW = 480, 18


@dataclass(frozen=True)
class ArmRun:
    """The run of one arm; `wall_s` is measured from the start of its job."""

    name: str
    wall_s: float
    timeline: Timeline


def draw(runs: Sequence[ArmRun], width: int = 1160) -> str:
    """The lanes of each arm below each other; the name and the time stand at its first lane.

    Where it is narrow they stand above it.
    """
    is_narrow = width < _NARROW
    runs = [replace(run, timeline=thinned(run.timeline, len(runs))) for run in runs]
    longest = max((len(run.name) for run in runs), default=0)
    gutter = 0 if is_narrow else min(330, max(150, longest * _NAME_PX + 84))
    layout = Layout(width, gutter, 11, 2.5)
    edge = width if is_narrow else gutter
    x = layout.scale(0, max((run.timeline["end"] for run in runs), default=1.0) * 1.01 or 1.0)
    body, pins, y = "", "", float(TOP)
    for run in runs:
        body += text(0, y + 10, shortened(run.name, edge - 84, _NAME_PX), "t1 t12")
        body += text(
            edge if is_narrow else edge - 10, y + 10, numbers.duration(run.wall_s), "t2 end"
        )
        y += _NAME_ROW if is_narrow else 0
        for lane in run.timeline["lanes"]:
            inside = (width - 6 - layout.gutter, layout.height)
            body += rectangle("lanebg", layout.gutter, y, inside, 2)
            body += group("", draw_lane(lane, x, layout.height), y=y)
            bins = lane.get("bins")
            pins += group("", draw_pins(bins, x, layout.height), y=y) if bins else ""
            y += layout.height + layout.gap
        # Its name has a row even where nothing ran.
        y += 5 if run.timeline["lanes"] else layout.height + 5
    bottom = y - layout.gap + 1
    said = "; ".join(f"{run.name}: {_described(run)}" for run in runs)
    caption = Caption("One run of each arm, on one time axis", f"Bars are items. {said}.")
    return chart("chart lanes", (width, bottom + 2), draw_axis(x, bottom) + body + pins, caption)


def table(runs: Sequence[ArmRun]) -> Table:
    """Time, lanes and items of the run of each arm."""
    rows = tuple(
        (
            run.name,
            numbers.duration(run.wall_s),
            numbers.count(run.timeline["lanes_total"]),
            numbers.count(run.timeline["shown"]),
            numbers.count(run.timeline["total"]),
        )
        for run in runs
    )
    header = ("Arm", "Time", "Lanes", "Items shown", "Items")
    return Table("One run of each arm", header, rows, figures=4)


def _described(run: ArmRun) -> str:
    lanes = numbers.plural(run.timeline["lanes_total"], "lane")
    return f"{numbers.duration(run.wall_s)} on {lanes}"
