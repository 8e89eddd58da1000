"""/lessons: the guided experiments; one button runs one."""

from flask import Blueprint, Response

from batchpool.api.context import service
from batchpool.api.page_response import page
from batchpool.api.problems import Problem, problem_of
from batchpool.api.routes.pages.forms import see_other
from batchpool.api.use_cases.read_lesson import find_lesson, last_run, read_lesson
from batchpool.api.use_cases.submit_comparison import submit_comparison
from batchpool.lessons.catalogue import LESSONS, Lesson
from batchpool.model import TERMINAL_STATES
from batchpool.pages.frame import Live
from batchpool.pages.guides.lesson import build_lesson
from batchpool.schemas.comparison_requests import ComparisonRequest
from batchpool.schemas.reading import read_model
from batchpool.schemas.refusals import Refusal

blueprint = Blueprint("lessons_page", __name__)


@blueprint.get("/lessons")
def get_lesson_list() -> Response:
    return page("lessons.html", "Lessons", lessons=LESSONS)


@blueprint.get("/lessons/<lesson>")
def get_lesson(lesson: str) -> Response:
    found = find_lesson(lesson)
    return _lesson_page(found, last_run(found))


@blueprint.get("/lessons/<lesson>/<comparison_id>")
def get_lesson_run(lesson: str, comparison_id: str) -> Response:
    return _lesson_page(find_lesson(lesson), comparison_id)


@blueprint.post("/lessons/<lesson>")
def post_lesson(lesson: str) -> Response:
    """Order the comparison of a lesson, and follow it."""
    found = find_lesson(lesson)
    try:
        submitted = submit_comparison(service(), read_model(ComparisonRequest, found.order()))
    except Refusal as refusal:
        return _refused(found, problem_of(refusal))
    except Problem as problem:
        return _refused(found, problem)
    return see_other(f"/lessons/{found.name}/{submitted.comparison_id}")


def _lesson_page(lesson: Lesson, comparison_id: str | None) -> Response:
    run = read_lesson(lesson, comparison_id) if comparison_id else None
    is_open = run is not None and run.state not in TERMINAL_STATES
    live = Live(events=f"/v1/comparisons/{comparison_id}/events") if is_open else None
    return page("lesson.html", "Lessons", live=live, view=build_lesson(lesson, run))


def _refused(lesson: Lesson, problem: Problem) -> Response:
    response = page("lesson.html", "Lessons", view=build_lesson(lesson, None, problem.detail))
    response.status_code = problem.status
    return response
