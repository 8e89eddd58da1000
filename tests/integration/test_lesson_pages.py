"""The pages of lessons: one button runs one, and what it showed can be kept as a file."""

import base64
import hashlib
import re
from typing import Any

import pytest

from batchpool.ledger.comparisons import Comparisons
from batchpool.lessons.catalogue import LESSONS, LESSONS_BY_NAME
from batchpool.lessons.outcome import LessonSource, build_run
from batchpool.pages.guides.lesson import MOMENTS, PLAYED_S, build_lesson
from batchpool.pages.one_file import file_policy, render_file
from batchpool.pages.static_files import static_files
from batchpool.runner.capabilities import capabilities
from batchpool.schemas.lesson_responses import LessonRun, TaskRun
from batchpool.tasks.registry import load_tasks
from tests.integration.test_pages import HTML, check_page

OWN = capabilities(load_tasks()).to_json()


@pytest.fixture
def site(stage: Any) -> Any:
    stage.announce(OWN, *(stage.worker_document(name=n, **{"class": OWN["id"]}) for n in "ab"))
    return stage


def ended_run(site: Any, name: str, thread: str = "t") -> LessonRun:
    """A run with two tasks in each way, as its last round left it."""
    lesson = LESSONS_BY_NAME[name]
    run_id = site.http.post("/v1/comparisons", json=lesson.order()).get_json()["id"]
    snapshot = Comparisons(site.redis).load(run_id)
    run = build_run(lesson, LessonSource(snapshot.entry, snapshot.now_ms, {}, {}))
    task = TaskRun(
        item=1, worker="w", pid=7, parent=6, thread=thread, start_s=0.1, wall_s=0.2, cpu_s=0.1,
        sum_seen=1,
    )  # fmt: skip
    more: dict[str, Any] = {"wall_s": 0.3, "speedup": 2.0, "job": "0" * 24, "observed": 1, "sum": 1}
    ways = [way.model_copy(update={**more, "tasks": [task, task]}) for way in run.ways]
    said = "It took *0.3 s*, <b>not</b> less."
    return run.model_copy(update={"state": "succeeded", "sentence": said, "ways": ways})


def test_all_lessons_are_listed(site: Any) -> None:
    page = check_page(site.http.get("/lessons", headers=HTML).text)
    linked = {each.get("href") for each in page.all("a")}
    assert {f"/lessons/{lesson.name}" for lesson in LESSONS} <= linked


@pytest.mark.parametrize("name", LESSONS_BY_NAME)
def test_a_lesson_shows_its_code_before_it_is_run(site: Any, name: str) -> None:
    page = check_page(site.http.get(f"/lessons/{name}", headers=HTML).text)
    assert "Nothing measured yet" in page.text
    assert re.sub(r"\s+", " ", LESSONS_BY_NAME[name].code).strip() in page.text


def test_one_button_orders_the_comparison_and_leads_to_it(site: Any) -> None:
    response = site.http.post("/lessons/gil", headers=HTML)
    assert response.status_code == 303, response.text
    path = response.headers["Location"]
    spec = site.get(f"/v1/comparisons/{path.rpartition('/')[2]}")["spec"]
    assert spec["labels"] == {"lesson": "gil"}
    text = site.http.get(path, headers=HTML).text
    assert "It runs: 0 of 31" in check_page(text).text.replace("\u00a0", " ")
    assert f'data-events="/v1/comparisons/{path.rpartition("/")[2]}/events"' in text
    # The lesson itself shows its last run.
    assert "It runs:" in site.http.get("/lessons/gil", headers=HTML).text


def test_a_lesson_that_needs_two_workers_says_so_where_there_is_one(stage: Any) -> None:
    stage.announce(OWN, stage.worker_document(name="a", **{"class": OWN["id"]}))
    response = stage.http.post("/lessons/sequential", headers=HTML)
    assert response.status_code == 422
    assert "needs 2 workers at once" in check_page(response.text).text


def test_an_unknown_lesson_is_a_page_that_names_those_that_exist(site: Any) -> None:
    response = site.http.get("/lessons/gill", headers=HTML)
    assert (response.status_code, response.mimetype) == (404, "text/html")
    assert "known: sequential" in check_page(response.text).text


def test_the_outcome_is_drawn_on_one_axis_and_escaped(site: Any) -> None:
    run = ended_run(site, "threads", thread="<script>x</script>")
    view = build_lesson(LESSONS_BY_NAME["threads"], run)
    assert view.outcome is not None
    assert view.outcome.said[1] == ("0.3 s", True)
    assert [each.heading for each in view.outcome.charts] == [
        "One after the other",
        "A thread per task",
    ]
    text = render_file("lesson_file.html", view=view)
    assert "<script>x" not in text and "&lt;b&gt;not&lt;/b&gt;" in text
    assert text.count("<title>One after the other</title>") == 2  # wide and narrow


def test_a_file_loads_nothing_and_its_policy_names_its_own_style(site: Any) -> None:
    run = ended_run(site, "race")
    text = render_file("lesson_file.html", view=build_lesson(LESSONS_BY_NAME["race"], run))
    (style,) = re.findall(r"<style>(.*?)</style>", text, re.S)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in file_policy()
    assert "<script" not in text
    assert re.findall(r"(?:src|href)=\"(?!#)", text) == []
    assert " style=" not in text and "default-src &#39;none&#39;" in text


def test_a_run_is_answered_as_a_file_to_who_asks_for_html(site: Any) -> None:
    order = LESSONS_BY_NAME["race"].order()
    run_id = site.http.post("/v1/comparisons", json=order).get_json()["id"]
    response = site.http.get(f"/v1/lessons/race/{run_id}", headers={"Accept": "text/html"})
    assert response.headers["Content-Disposition"] == 'attachment; filename="lesson-race.html"'
    assert response.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert "had not ended when the file was written" in response.text
    assert site.http.get(f"/v1/lessons/race/{run_id}").mimetype == "application/json"


def test_slow_motion_has_a_rule_for_each_moment() -> None:
    style = static_files()["page.css"].content.decode()
    for at in range(MOMENTS):
        assert f'.stage:has([value="{at}"]:checked) .curtain' in style
    assert f"curtain {PLAYED_S:g}s linear" in style


def test_a_doubtful_run_is_marked(site: Any) -> None:
    doubts = ["other programs used 1.4 CPUs"]
    run = ended_run(site, "gil").model_copy(update={"doubts": doubts})
    view = build_lesson(LESSONS_BY_NAME["gil"], run)
    assert view.outcome is not None and view.outcome.is_doubtful
    assert 'class="said doubtful"' in render_file("lesson_file.html", view=view)
