"""What a lesson says follows from what its run measured."""

from typing import Any

import pytest

from batchpool.lessons.catalogue import LESSONS, LESSONS_BY_NAME
from batchpool.lessons.sentences import about_parents, emphasised, explain, no_lesson
from batchpool.schemas.lesson_responses import LessonWay, TaskRun


def task(item: int = 0, pid: int = 7) -> TaskRun:
    return TaskRun(
        item=item,
        worker="w",
        pid=pid,
        parent=1,
        thread="t",
        start_s=0,
        wall_s=0.2,
        cpu_s=0.1,
        sum_seen=0,
    )


def way(name: str, wall_s: float, speedup: float | None = None, **more: Any) -> LessonWay:
    verdict = None if speedup is None else "faster" if speedup > 1.1 else "no difference shown"
    fields: dict[str, Any] = {
        "heading": name,
        "backend": "x",
        "job": "j",
        "round_speedups": [],
        "cpu_share": 0.51,
        "observed": 28,
        "lost": [],
        "sum": 28,
        "ready_s": 0.0,
        "parents": "",
        "tasks": [task(0), task(1)],
    }
    return LessonWay(name=name, wall_s=wall_s, speedup=speedup, verdict=verdict, **fields | more)


def gil_ways(threads: float) -> list[LessonWay]:
    return [
        way("one after the other", 0.8),
        way("threads", 0.8 / threads, threads),
        way("processes", 0.41, 1.96),
    ]


def test_threads_that_gain_nothing_teach_the_gil() -> None:
    said = explain(LESSONS_BY_NAME["gil"], gil_ways(1.0), gil=True)
    assert said.startswith("Two threads needed *800\u00a0ms*, one after the other *800\u00a0ms*")
    assert "no gain (1.00\u00a0×)" in said
    assert "computed for 51\u00a0% of its time" in said
    assert said.endswith("*410\u00a0ms*, 1.96 times as fast.")


def test_a_python_without_a_gil_gets_another_sentence() -> None:
    said = explain(LESSONS_BY_NAME["gil"], gil_ways(1.9), gil=False)
    assert "no GIL" in said and "held up" not in said


def test_a_gain_is_claimed_only_with_a_verdict() -> None:
    ways = [way("one worker", 0.8), way("two workers", 0.7, 1.05)]
    said = explain(LESSONS_BY_NAME["sequential"], ways, gil=True)
    assert "no gain (1.05\u00a0×)" in said and "times as fast" not in said


def test_lost_updates_are_counted_over_all_rounds() -> None:
    ways = [
        way("with a lock", 0.06, lost=[0, 0], sum=19900),
        way("without a lock", 0.03, 2.0, lost=[14999, 9950], sum=19900),
    ]
    said = explain(LESSONS_BY_NAME["race"], ways, gil=True)
    assert "*50.0 to 75.4 %* of the sum was lost, in 2 of 2 rounds" in said
    assert "Under the lock nothing was lost" in said


def test_a_race_that_lost_nothing_is_not_made_up() -> None:
    ways = [way("with a lock", 0.06), way("without a lock", 0.03, 2.0, lost=[0, 0])]
    assert "In none of 2 rounds" in explain(LESSONS_BY_NAME["race"], ways, gil=True)


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.name)
def test_each_lesson_has_a_sentence_also_when_its_jobs_are_gone(lesson: Any) -> None:
    gone = {"tasks": [], "observed": None, "sum": None, "cpu_share": None, "job": None}
    ways = [way(each.name, 0.5, 1.0 if at else None, **gone) for at, each in enumerate(lesson.ways)]
    said = explain(lesson, ways, gil=True)
    assert said.endswith(".") and "None" not in said


def test_a_busy_machine_gives_no_lesson_and_the_reasons() -> None:
    said = no_lesson(["other programs used 1.4 CPUs"])
    assert said.startswith("No lesson from this run") and "1.4 CPUs" in said


def test_figures_between_asterisks_stand_out() -> None:
    assert emphasised("took *2 s*, no more") == [
        ("took ", False),
        ("2 s", True),
        (", no more", False),
    ]


def test_parents_follow_from_the_start_method() -> None:
    assert "fork server" in about_parents("forkserver")
    assert "runner itself" in about_parents(None)
