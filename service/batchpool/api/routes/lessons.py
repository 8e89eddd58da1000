"""/v1/lessons: the guided experiments, and what a run of one showed."""

from flask import Blueprint, Response

from batchpool.api.http import JSON, json_response, negotiate, read_query
from batchpool.api.use_cases.read_lesson import find_lesson, read_lesson
from batchpool.lessons.catalogue import LESSONS, Lesson
from batchpool.pages.guides.lesson import build_lesson
from batchpool.pages.one_file import file_policy, render_file
from batchpool.schemas.job_requests import NoQuery
from batchpool.schemas.lesson_responses import LessonInfo, LessonRun, Lessons

blueprint = Blueprint("lessons", __name__, url_prefix="/v1/lessons")

HTML = "text/html"


@blueprint.get("")
def get_lessons() -> Response:
    negotiate()
    read_query(NoQuery)
    return json_response(Lessons(lessons=[_info(lesson) for lesson in LESSONS]).model_dump())


@blueprint.get("/<lesson>/<comparison_id>")
def get_lesson_run(lesson: str, comparison_id: str) -> Response:
    media_type = negotiate((JSON, HTML))
    read_query(NoQuery)
    found = find_lesson(lesson)
    run = read_lesson(found, comparison_id)
    return json_response(run.model_dump()) if media_type == JSON else _file(found, run)


def _file(lesson: Lesson, run: LessonRun) -> Response:
    """The run as one HTML file, to be kept."""
    text = render_file("lesson_file.html", view=build_lesson(lesson, run))
    headers = {
        "Content-Disposition": f'attachment; filename="lesson-{lesson.name}.html"',
        "Content-Security-Policy": file_policy(),
    }
    return Response(text, headers=headers, content_type=f"{HTML}; charset=utf-8")


def _info(lesson: Lesson) -> LessonInfo:
    return LessonInfo(
        name=lesson.name,
        title=lesson.title,
        lead=lesson.lead,
        code=lesson.code,
        further=lesson.further,
        order=lesson.order(),
    )
