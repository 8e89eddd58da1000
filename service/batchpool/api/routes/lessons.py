"""/v1/lessons: the guided experiments, and what a run of one showed."""

from flask import Blueprint, Response

from batchpool.api.http import json_response, negotiate, read_query
from batchpool.api.use_cases.read_lesson import find_lesson, read_lesson
from batchpool.lessons.catalogue import LESSONS, Lesson
from batchpool.schemas.job_requests import NoQuery
from batchpool.schemas.lesson_responses import LessonInfo, Lessons

blueprint = Blueprint("lessons", __name__, url_prefix="/v1/lessons")


@blueprint.get("")
def get_lessons() -> Response:
    negotiate()
    read_query(NoQuery)
    return json_response(Lessons(lessons=[_info(lesson) for lesson in LESSONS]).model_dump())


@blueprint.get("/<lesson>/<comparison_id>")
def get_lesson_run(lesson: str, comparison_id: str) -> Response:
    negotiate()
    read_query(NoQuery)
    return json_response(read_lesson(find_lesson(lesson), comparison_id).model_dump())


def _info(lesson: Lesson) -> LessonInfo:
    return LessonInfo(
        name=lesson.name,
        title=lesson.title,
        lead=lesson.lead,
        code=lesson.code,
        further=lesson.further,
        order=lesson.order(),
    )
