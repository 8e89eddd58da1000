"""From the samples of a comparison to what a lesson says of them."""

import re
from dataclasses import replace
from typing import Any

import pytest

from batchpool.comparisons.analysis.analyse import analyse
from batchpool.ledger.values.comparison_entries import ComparisonEntry, ExecutionNotes
from batchpool.lessons.catalogue import LESSONS_BY_NAME
from batchpool.lessons.outcome import LessonSource, build_run, shown_job
from batchpool.schemas.lesson_responses import LessonRun
from tests.unit.comparisons.analysis.sample_sessions import Machine, SessionDocument, arm

LESSON = LESSONS_BY_NAME["gil"]
ARMS = [
    arm(str(way.options["backend"]), int(way.options.get("concurrency", 1)), name=way.name)
    for way in LESSON.ways
]
QUIET = Machine(1, ARMS, items=8, rounds=7, computes_s=0.1)


def entry(session: SessionDocument) -> ComparisonEntry:
    data = session.data
    return ComparisonEntry(
        id="c" * 24,
        state="succeeded",
        spec=data.spec,
        class_id="c311",
        submitted_ms=0,
        started_ms=0,
        finished_ms=1000,
        cancelled_ms=None,
        position=len(data.samples),
        attempt=1,
        job_id=None,
        ttl_s=60,
        notes=ExecutionNotes(),
        environment=data.environment,
        error=None,
        samples=tuple(data.samples),
        analysis=analyse(data).model_dump(),
    )


def run_of(session: SessionDocument) -> LessonRun:
    return build_run(LESSON, LessonSource(entry(session), 1000, {}, {}))


def with_facts(session: SessionDocument, factor: float, backend: str) -> SessionDocument:
    """The session with the CPU time of the tasks of one backend times `factor`."""
    for sample in session.samples:
        index = sample["arm"] if sample["arm"] < len(ARMS) else 0
        if ARMS[index]["backend"] == backend:
            sample["facts"]["task_cpu_s"] *= factor
    return session


def test_a_quiet_machine_teaches_the_gil() -> None:
    run = run_of(QUIET.session())
    assert run.doubts == []
    assert run.sentence is not None and "no gain" in run.sentence
    assert re.search(r"1\.9\d times as fast\.$", run.sentence)
    assert [way.verdict for way in run.ways] == [None, "no difference shown", "faster"]
    assert len(run.ways[2].round_speedups) == 7


def test_other_programs_are_seen_in_the_cpu_time_that_tasks_lack() -> None:
    run = run_of(with_facts(QUIET.session(), 0.6, "process-pool"))
    assert run.doubts == ["other programs used 0.8 CPUs"]
    assert run.sentence is not None and run.sentence.startswith("No lesson from this run")


def test_threads_lack_cpu_time_by_the_gil_and_that_is_no_doubt() -> None:
    assert run_of(with_facts(QUIET.session(), 0.6, "thread-pool")).doubts == []


def test_where_cpus_are_left_other_programs_do_no_harm() -> None:
    machine = replace(QUIET, cpus=8.0)
    assert run_of(with_facts(machine.session(), 0.6, "process-pool")).doubts == []


def test_threads_that_gain_under_a_gil_are_no_lesson() -> None:
    session = replace(QUIET, gil=False).session()
    for sample in session.samples:
        sample["facts"]["gil"] = [True]
    session.environment["gil"] = True
    assert "threads computed faster than the GIL allows" in run_of(session).doubts


def test_rounds_that_disagree_are_no_lesson() -> None:
    run = run_of(replace(QUIET, noise=0.25).session())
    assert any("from round to round" in doubt for doubt in run.doubts)


def test_one_odd_round_is_forgiven() -> None:
    session = QUIET.session()
    odd = next(each for each in session.samples if each["arm"] == 2)
    odd["facts"]["wall_s"] *= 3
    assert run_of(session).doubts == []


def test_a_machine_that_changed_its_speed_is_no_lesson() -> None:
    run = run_of(replace(QUIET, step=2.5).session())
    assert any("speed of the machine changed" in doubt for doubt in run.doubts)


def test_the_round_of_median_time_stands_for_its_way() -> None:
    session = QUIET.session()
    for number, sample in enumerate(session.samples):
        sample["job_id"] = f"job{number}"
    found: Any = entry(session)
    times = sorted(
        (each.facts.wall_s, each.job_id) for each in found.samples if each.arm == 1 and each.facts
    )
    assert shown_job(found, 1) == times[3][1]


@pytest.mark.parametrize(("state", "said"), [("cancelled", "was cancelled"), ("failed", "no end")])
def test_a_run_without_results_says_why(state: Any, said: str) -> None:
    error = (
        {"type": "x", "message": "nothing ran", "traceback": None} if state == "failed" else None
    )
    ended: Any = replace(entry(QUIET.session()), state=state, analysis=None, error=error)
    run = build_run(LESSON, LessonSource(ended, 1000, {}, {}))
    assert run.sentence is not None and said in run.sentence
