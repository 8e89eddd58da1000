"""The timelines of a lesson: one chart per way, all on one time axis; pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from batchpool.charts import numbers
from batchpool.charts.scales import LinearScale
from batchpool.charts.svg import Caption, chart, coordinate, group, path, rectangle, text
from batchpool.charts.timeline import TOP, Layout, draw_axis, draw_lane
from batchpool.charts.timeline_document import Bars, Lane
from batchpool.schemas.lesson_responses import LessonWay, TaskRun

WIDE: Final = 760
NARROW: Final = 340
_GUTTER: Final = 84
_MOST_SHOWN_STARTUP_S: Final = 0.005


@dataclass(frozen=True)
class WayChart:
    """One way as a chart, at the two widths at which it is shown."""

    heading: str
    wide: str
    narrow: str


def draw_ways(ways: Sequence[LessonWay]) -> list[WayChart]:
    """A chart for each way that has a heading and tasks."""
    shown = [way for way in ways if way.heading and way.tasks]
    end_s = end_of(shown)
    return [
        WayChart(way.heading, _draw(way, end_s, WIDE), _draw(way, end_s, NARROW)) for way in shown
    ]


def end_of(ways: Sequence[LessonWay]) -> float:
    """The end of the common axis, a little after the last task."""
    ends = [task.start_s + task.wall_s for way in ways for task in way.tasks]
    return 1.03 * max(ends, default=1.0)


def _scale(width: int, end_s: float) -> LinearScale:
    return Layout(width, _GUTTER, 0, 0).scale(0, end_s)


def _draw(way: LessonWay, end_s: float, width: int) -> str:
    lanes = lanes_of(way)
    height, gap = (30, 6) if len(lanes) <= 3 else (14, 4)
    x = _scale(width, end_s)
    body, y = "", float(TOP)
    for lane in lanes:
        body += rectangle("lanebg", _GUTTER, y, (x.end - _GUTTER, height), 2)
        body += text(0, y + height / 2 + 4, lane["label"], "mono t2")
        body += group("", draw_lane(lane, x, height), y=y)
        y += height + gap
    axis = draw_axis(x, y, wanted=5 if width == WIDE else 3)
    body += _curtain(x, y - TOP)
    caption = Caption(way.heading, _described(way, len(lanes)))
    return chart("chart lanes", (width, y), axis + body, caption)


def _curtain(x: LinearScale, height: float) -> str:
    """What slow motion draws aside: it covers what has not happened yet. The style sheet moves it.

    An element of its own, so that what is moved out of it is not seen.
    """
    wide, high = coordinate(x.end - x.start + 1), coordinate(height)
    place = f'x="{coordinate(x.start)}" y="{TOP}" width="{wide}" height="{high}"'
    inside = rectangle("cover", 0, 0, (x.end - x.start + 1, height)) + path("now", f"M.5 0V{high}")
    return f'<svg {place} overflow="hidden">{group("curtain", inside)}</svg>'


def _described(way: LessonWay, lanes: int) -> str:
    share = numbers.percent(None if way.cpu_share is None else round(way.cpu_share, 2))
    tasks, rows = numbers.plural(len(way.tasks), "task"), numbers.plural(lanes, "lane")
    return f"{tasks} on {rows}; they computed for {share} of their time."


def lanes_of(way: LessonWay) -> list[Lane]:
    """A lane per thread where all tasks ran in one process, else one per process."""
    by_thread = len({task.pid for task in way.tasks}) == 1
    lanes: dict[tuple[int, str], list[TaskRun]] = {}
    for task in sorted(way.tasks, key=lambda each: each.start_s):
        lanes.setdefault((task.pid, task.thread if by_thread else ""), []).append(task)
    named = by_thread and len(lanes) > 1
    return [
        _lane(way, tasks, f"thread {number}" if named else f"PID {tasks[0].pid}")
        for number, tasks in enumerate(lanes.values(), start=1)
    ]


def _lane(way: LessonWay, tasks: Sequence[TaskRun], label: str) -> Lane:
    first = tasks[0]
    ready_s = min(way.ready_s or 0.0, first.start_s)
    # A process that was not warm had to start first, and that is part of the answer.
    starts = [[0.0, ready_s]] if ready_s > _MOST_SHOWN_STARTUP_S else []
    return Lane(
        host="",
        worker=first.worker,
        pid=first.pid,
        ppid=first.parent,
        thread=first.thread,
        items=len(tasks),
        label=label,
        bars=_bars(tasks),
        bins=None,
        starts=starts,
        queue=[],
    )


def _bars(tasks: Sequence[TaskRun]) -> Bars:
    return Bars(
        index=list(range(len(tasks))),
        start=[task.start_s for task in tasks],
        wall=[task.wall_s for task in tasks],
        cpu=[task.cpu_s for task in tasks],
        state="s" * len(tasks),
        attempt=[1] * len(tasks),
        epoch=[1] * len(tasks),
        batch=[0] * len(tasks),
    )
