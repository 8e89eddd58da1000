"""The pages of lessons: the list, and one lesson with what its run showed; pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from batchpool.charts import numbers
from batchpool.lessons.catalogue import LESSONS, Lesson
from batchpool.lessons.sentences import emphasised
from batchpool.lessons.timelines import WayChart, draw_ways, end_of
from batchpool.pages.guides.code_tokens import python_code
from batchpool.schemas.job_responses import Number
from batchpool.schemas.lesson_responses import LessonRun, LessonWay

MOST_ROWS: Final = 10
PLAYED_S: Final = 6.0
"""How long slow motion takes, by the style sheet."""

MOMENTS: Final = 10
"""Into how many parts it can be stepped by hand; the style sheet has a rule for each."""


@dataclass(frozen=True)
class Step:
    """A lesson in the navigation between lessons."""

    number: int
    words: str
    href: str
    is_current: bool


@dataclass(frozen=True)
class Player:
    """Slow motion: how much slower it is, and the times that can be looked at by hand; texts.

    Args:
        moments: `MOMENTS` + 1 of them, evenly spread over the axis.
    """

    slower: str
    moments: tuple[str, ...]


@dataclass(frozen=True)
class TaskCell:
    """Who ran one task in one way, and the sum that it saw; texts."""

    pid: str
    parent: str
    seen: str


@dataclass(frozen=True)
class TaskRow:
    """One task in all ways that are shown."""

    item: str
    cells: tuple[TaskCell, ...]


@dataclass(frozen=True)
class WayTime:
    """The times of a way over all its rounds; texts."""

    name: str
    wall: str
    speedup: str
    rounds: str
    verdict: str


@dataclass(frozen=True)
class RaceFigures:
    """The race lab; texts."""

    exact: str
    racy: str
    lost: str
    locked: str
    kept: bool


@dataclass(frozen=True)
class Outcome:
    """What a run showed.

    Args:
        said: the sentence, in parts that stand out or not.
        notes: on the sums, one for each way that is shown, and on the parents.
    """

    said: tuple[tuple[str, bool], ...]
    is_doubtful: bool
    charts: tuple[WayChart, ...]
    player: Player
    headings: tuple[str, ...]
    rows: tuple[TaskRow, ...]
    rows_total: int
    notes: tuple[str, ...]
    times: tuple[WayTime, ...]
    race: RaceFigures | None


@dataclass(frozen=True)
class Progress:
    """A run that has not ended."""

    done: int
    runs: int
    words: str


@dataclass(frozen=True)
class LessonView:
    """The page of one lesson.

    Args:
        run: the id of the comparison that is shown; None if it was not run lately.
        problem: why it could not be run; "" if it could.
        outcome: None before the end.
    """

    lesson: Lesson
    number: int
    steps: tuple[Step, ...]
    code: Markup
    run: str | None
    problem: str
    progress: Progress | None
    outcome: Outcome | None


def lesson_steps(current: str = "") -> tuple[Step, ...]:
    """All lessons, in their order."""
    return tuple(
        Step(number, lesson.step, f"/lessons/{lesson.name}", lesson.name == current)
        for number, lesson in enumerate(LESSONS, start=1)
    )


def build_lesson(lesson: Lesson, run: LessonRun | None, problem: str = "") -> LessonView:
    """The page of a lesson with the run that is shown on it."""
    ended = run is not None and run.sentence is not None
    return LessonView(
        lesson=lesson,
        number=LESSONS.index(lesson) + 1,
        steps=lesson_steps(lesson.name),
        code=python_code(lesson.code, lesson.marked),
        run=run.comparison if run else None,
        problem=problem,
        progress=_progress(run) if run and not ended else None,
        outcome=_outcome(lesson, run) if run and ended else None,
    )


def _progress(run: LessonRun) -> Progress:
    now = run.progress
    words = f"{numbers.count(now.done)} of {numbers.plural(now.runs, 'run')}"
    if now.waits_for:
        words += f"; it waits for {now.waits_for}"
    elif now.arm:
        words += f"; now: {now.arm}"
    return Progress(now.done, now.runs, words)


def _outcome(lesson: Lesson, run: LessonRun) -> Outcome:
    shown = [way for way in run.ways if way.heading and way.tasks]
    total = max((len(way.tasks) for way in shown), default=0)
    return Outcome(
        said=tuple(emphasised(run.sentence or "")),
        is_doubtful=bool(run.doubts),
        charts=tuple(draw_ways(run.ways)),
        player=_player(end_of(shown)),
        headings=tuple(way.name for way in shown),
        rows=tuple(_row(at, shown) for at in range(min(total, MOST_ROWS))),
        rows_total=total,
        notes=tuple(_notes(shown)),
        times=tuple(_time(way) for way in run.ways),
        race=_race(run.ways) if lesson.kind == "race" else None,
    )


def _player(end_s: float) -> Player:
    slower = numbers.with_unit(numbers.digits(PLAYED_S / end_s, 2), "×")
    moments = (numbers.duration(end_s * at / MOMENTS) for at in range(MOMENTS + 1))
    return Player(slower, tuple(moments))


def _row(at: int, ways: Sequence[LessonWay]) -> TaskRow:
    cells = []
    for way in ways:
        if at < len(way.tasks):
            task = way.tasks[at]
            cells.append(TaskCell(str(task.pid), str(task.parent), _figure(task.sum_seen)))
        else:
            cells.append(TaskCell(*[numbers.NOTHING] * 3))
    return TaskRow(str(at), tuple(cells))


def _figure(value: Number | None) -> str:
    return numbers.NOTHING if value is None else numbers.exact(str(value))


def _notes(ways: Sequence[LessonWay]) -> list[str]:
    """The shared sums at the end, and why the parents are what they are: once if it is the same."""
    sums = [_sum_note(way) for way in ways]
    if len({way.parents for way in ways}) == 1:
        return [*sums, ways[0].parents]
    return [f"{note} {way.parents}" for note, way in zip(sums, ways, strict=True)]


def _sum_note(way: LessonWay) -> str:
    observed, total = _figure(way.observed), _figure(way.sum)
    kept = "the exact sum" if way.observed == way.sum else f"the exact sum is {total}"
    name = f"{way.name[:1].upper()}{way.name[1:]}"
    return f"{name}: in the end the shared sum held {observed}, {kept}."


def _time(way: LessonWay) -> WayTime:
    rounds = numbers.NOTHING
    if way.round_speedups:
        rounds = numbers.interval(min(way.round_speedups), max(way.round_speedups))
    return WayTime(
        way.name,
        numbers.duration(way.wall_s),
        numbers.ratio(way.speedup),
        rounds,
        way.verdict or ("compared with" if way.speedup is None else "no verdict"),
    )


def _race(ways: Sequence[LessonWay]) -> RaceFigures | None:
    locked, racy = ways
    if racy.sum is None or racy.observed is None or locked.observed is None:
        return None
    lost = racy.sum - racy.observed
    share = numbers.percent(round(lost / racy.sum, 2)) if racy.sum else numbers.NOTHING
    return RaceFigures(
        exact=_figure(racy.sum),
        racy=_figure(racy.observed),
        lost=f"{_figure(lost)} lost ({share})",
        locked=_figure(locked.observed),
        kept=locked.observed == locked.sum,
    )
