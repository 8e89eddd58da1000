"""Lessons over HTTP: listed, ordered as comparisons, read, and refused."""

from dataclasses import replace
from typing import Any

from batchpool.ledger.comparisons import Comparisons
from batchpool.lessons.catalogue import LESSONS, Lesson
from batchpool.lessons.outcome import LessonSource, build_run
from batchpool.runner.capabilities import capabilities
from batchpool.schemas.comparison_requests import MOST_RUNS
from batchpool.tasks.registry import load_tasks
from tests.support.comparison_specs import sample

PATH = "/v1/lessons"


def order(stage: Any, lesson: dict[str, Any]) -> str:
    response = stage.http.post("/v1/comparisons", json=lesson["order"])
    assert response.status_code == 202, response.text
    return str(response.get_json()["id"])


def test_the_order_of_each_lesson_is_an_admitted_comparison(stage: Any) -> None:
    # The real tasks, so that a lesson's params are checked against their schemas.
    own = capabilities(load_tasks()).to_json()
    stage.announce(own, *(stage.worker_document(name=n, **{"class": own["id"]}) for n in "ab"))
    for lesson in stage.get(PATH)["lessons"]:
        run = stage.get(f"{PATH}/{lesson['name']}/{order(stage, lesson)}")
        assert (run["state"], run["sentence"], run["doubts"]) == ("queued", None, [])
        assert [way["tasks"] for way in run["ways"]] == [[] for _ in lesson["order"]["arms"]]
        assert run["progress"]["runs"] < MOST_RUNS


def test_a_lesson_that_does_not_exist_names_those_that_do(stage: Any) -> None:
    response = stage.http.get(f"{PATH}/gill/{'0' * 24}")
    assert response.status_code == 404
    assert "known: sequential, processes, threads, gil" in response.get_json()["detail"]


def test_another_comparison_is_no_run_of_a_lesson(stage: Any) -> None:
    by_name = {lesson["name"]: lesson for lesson in stage.get(PATH)["lessons"]}
    threads = order(stage, by_name["threads"])
    assert stage.http.get(f"{PATH}/race/{threads}").status_code == 404
    forged = by_name["threads"] | {
        "order": by_name["threads"]["order"] | {"labels": {"lesson": "race"}}
    }
    assert stage.http.get(f"{PATH}/race/{order(stage, forged)}").status_code == 404
    larger = by_name["threads"] | {"order": by_name["threads"]["order"] | {"count": 50}}
    assert stage.http.get(f"{PATH}/threads/{order(stage, larger)}").status_code == 404
    assert stage.http.get(f"{PATH}/threads/{'0' * 24}").status_code == 404


def test_a_cancelled_run_says_so(stage: Any) -> None:
    lesson = stage.get(PATH)["lessons"][2]
    run_id = order(stage, lesson)
    stage.http.post(f"/v1/comparisons/{run_id}/cancel")
    run = stage.get(f"{PATH}/{lesson['name']}/{run_id}")
    assert run["sentence"] == "This run was cancelled. Run it again."


def test_jobs_that_are_gone_leave_the_times(stage: Any) -> None:
    lesson = next(each for each in LESSONS if each.name == "threads")
    assert build_gone(stage, lesson).ways[0].tasks == []


def build_gone(stage: Any, lesson: Lesson) -> Any:
    run_id = order(stage, {"order": lesson.order()})
    snapshot = Comparisons(stage.redis).load(run_id)
    assert snapshot is not None
    entry = replace(snapshot.entry, samples=(sample(),))
    return build_run(lesson, LessonSource(entry, snapshot.now_ms, {}, {}))
