"""Read what a run of a lesson showed: its comparison, the jobs of its rounds, some records."""

from batchpool.api.context import service
from batchpool.api.http import check_comparison_id, no_such_comparison
from batchpool.api.problems import NotFound
from batchpool.lessons.catalogue import LESSONS_BY_NAME, Lesson
from batchpool.lessons.outcome import LessonSource, build_run, measured_samples, shown_job
from batchpool.schemas.lesson_responses import LessonRun

COMPARISONS_SEARCHED = 50
"""The newest ones, among which the last run of a lesson is searched for."""


def find_lesson(name: str) -> Lesson:
    """The lesson.

    Raises:
        NotFound: there is none of this name.
    """
    lesson = LESSONS_BY_NAME.get(name)
    if lesson is None:
        known = ", ".join(LESSONS_BY_NAME)
        raise NotFound(f"no lesson {name[:80]!r}; known: {known}")
    return lesson


def read_lesson(lesson: Lesson, comparison_id: str) -> LessonRun:
    """What a run showed so far.

    Raises:
        NotFound: there is no such comparison, or it is not a run of this lesson.
    """
    context = service()
    snapshot = context.comparisons.load(check_comparison_id(comparison_id))
    if snapshot is None:
        raise no_such_comparison(comparison_id)
    entry = snapshot.entry
    if not lesson.is_run_by(entry.spec):
        raise NotFound(f"comparison {comparison_id} is no run of the lesson {lesson.name!r}")
    ways = range(len(lesson.ways))
    ids = [sample.job_id for way in ways for sample in measured_samples(entry, way)]
    jobs = {job.id: job for job in context.jobs.load_many(ids) if job}
    shown = {way: jobs[job] for way in ways if (job := shown_job(entry, way)) in jobs}
    records = {way: list(context.records.stream(job)) for way, job in shown.items()}
    return build_run(lesson, LessonSource(entry, snapshot.now_ms, jobs, records))


def last_run(lesson: Lesson) -> str | None:
    """The id of the newest comparison that is a run of the lesson, if there was one lately."""
    comparisons = service().comparisons
    found = comparisons.load_many(comparisons.page(COMPARISONS_SEARCHED, None))
    return next(
        (each.entry.id for each in found if each and lesson.is_run_by(each.entry.spec)), None
    )
