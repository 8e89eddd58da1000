"""The measured sentence of each lesson; figures to be emphasised stand between asterisks; pure."""

from collections.abc import Callable, Sequence
from typing import Final

from batchpool.charts import numbers
from batchpool.lessons.catalogue import Lesson
from batchpool.lessons.doubts import span_of
from batchpool.schemas.lesson_responses import LessonWay

Ways = Sequence[LessonWay]


def explain(lesson: Lesson, ways: Ways, gil: bool) -> str:
    """What a run on a quiet machine showed.

    Args:
        ways: with their measured times, in the order of the lesson's.
        gil: whether the tasks ran under a GIL.
    """
    return _EXPLANATIONS[lesson.name](ways, gil)


def no_lesson(doubts: Sequence[str]) -> str:
    """Why nothing follows from a run."""
    return (
        f"No lesson from this run, because the machine was too busy: {'; '.join(doubts)}. "
        "The times below are what was measured. Run it again when less runs beside it."
    )


def about_parents(start_method: str | None) -> str:
    """Which process started those that ran the tasks, and why it was that one.

    Args:
        start_method: None for tasks that ran in the runner itself.
    """
    if start_method is None:
        return (
            "The tasks ran in the worker's runner itself, so that its parent is the worker, which "
            "started it before the job came."
        )
    if start_method == "forkserver":
        return (
            "The parent is the fork server, a process that has no other thread: a fork of the "
            "runner, which has some, could copy a lock that nobody will release."
        )
    return f"The parent is the runner, which started them by {start_method}."


def emphasised(sentence: str) -> list[tuple[str, bool]]:
    """The parts of a sentence, each with whether it stands out."""
    return [(part, at % 2 == 1) for at, part in enumerate(sentence.split("*")) if part]


def _time(way: LessonWay) -> str:
    return f"*{numbers.duration(way.wall_s)}*"


def _gain(way: LessonWay) -> str:
    """`1.96 times as fast`, or that no gain was shown."""
    if way.verdict == "faster" and way.speedup is not None:
        return f"{way.speedup:.2f} times as fast"
    shown = f" ({numbers.ratio(way.speedup)})" if way.speedup is not None else ""
    return f"slower{shown}" if way.verdict == "slower" else f"no gain{shown}"


def _pids(way: LessonWay) -> int:
    return len({task.pid for task in way.tasks})


def _sequential(ways: Ways, gil: bool) -> str:
    one, two = ways
    own = sum(task.wall_s for task in one.tasks)
    text = f"One worker needed {_time(one)} for its tasks"
    if own:
        text += f", whose own times add up to {numbers.duration(own)}: one begins as another ends"
    text += f". Two workers with half of them each needed {_time(two)}, {_gain(two)}"
    if two.verdict == "faster":
        return f"{text}: a worker is a process, and has a GIL of its own."
    return f"{text}: two workers gain what the machine has CPUs for."


def _processes(ways: Ways, gil: bool) -> str:
    first, processes = ways
    text = (
        f"A process for each task needed {_time(processes)}, one after the other {_time(first)}: "
        f"{_gain(processes)}."
    )
    if processes.tasks:
        text += (
            f" {numbers.plural(len(processes.tasks), 'task')} ran in {_pids(processes)} processes. "
            f"Each added to a copy of the global of its own, so the parent still sees "
            f"*{processes.observed}*; the exact sum, from the records, is *{processes.sum}*."
        )
    return text


def _threads(ways: Ways, gil: bool) -> str:
    first, threads = ways
    text = (
        f"In threads of their own the tasks waited together: {_time(threads)}, one after the other "
        f"{_time(first)}, {_gain(threads)}."
    )
    if threads.tasks:
        text += (
            f" All ran in one process, PID {threads.tasks[0].pid}, and added to the same global: "
            f"in the end it held *{threads.observed}*, the exact sum."
        )
    return text


def _the_gil(ways: Ways, gil: bool) -> str:
    first, threads, processes = ways
    text = f"Two threads needed {_time(threads)}, one after the other {_time(first)}: "
    if not gil:
        return (
            f"{text}{_gain(threads)}. This Python has no GIL, so threads compute at the same time. "
            f"Two processes needed {_time(processes)}, {_gain(processes)}."
        )
    text += f"{_gain(threads)}. "
    if threads.cpu_share is not None:
        text += (
            "Both threads were in flight all the time, but their bars are not full: a thread "
            f"computed for {numbers.percent(round(threads.cpu_share, 2))} of its time and was held "
            "up for the rest, since the GIL lets one compute at a time. "
        )
    return f"{text}Two processes have a GIL each: {_time(processes)}, {_gain(processes)}."


def _waiting(ways: Ways, gil: bool) -> str:
    first, threads, processes = ways
    return (
        f"Three threads needed {_time(threads)}, three processes {_time(processes)}, one after the "
        f"other {_time(first)}: {_gain(threads)}, and {_gain(processes)}. A task that waits lets "
        "go of the GIL, so that the next one can begin to wait; processes have nothing to add."
    )


def _race(ways: Ways, gil: bool) -> str:
    locked, racy = ways
    rounds = len(racy.lost)
    hit = sum(1 for lost in racy.lost if lost)
    if not racy.lost or not racy.sum:
        return "The rounds of this run are gone, so nothing can be counted. Run it again."
    if not hit:
        return (
            f"In none of {rounds} rounds an update was lost: no thread came between another's read "
            "and write. Nothing promises that. Run it again."
        )
    shares = [100 * lost / racy.sum for lost in racy.lost]
    kept = "nothing was lost" if not any(locked.lost) else "NUMBERS WERE LOST TOO"
    return (
        f"Without a lock *{span_of(shares, ' %')}* of the sum was lost, in {hit} of {rounds} "
        f"rounds: threads wrote over each other's sums. Under the lock {kept} in "
        f"{numbers.plural(len(locked.lost), 'round')}."
    )


_EXPLANATIONS: Final[dict[str, Callable[[Ways, bool], str]]] = {
    "sequential": _sequential,
    "processes": _processes,
    "threads": _threads,
    "gil": _the_gil,
    "waiting": _waiting,
    "race": _race,
}
