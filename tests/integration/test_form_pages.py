"""The forms: what they show, order and refuse, with and without a script."""

import html
from typing import Any

import pytest

from batchpool.runner.capabilities import capabilities
from batchpool.tasks.registry import load_tasks
from tests.integration.test_pages import HTML, check_page

OWN = capabilities(load_tasks()).to_json()
JOB = {"task": "sleep", "params.seconds": "0.5", "count": "6", "backend": "thread-pool"}
COMPARISON = {"task": "sleep", "count": "4", "backend": ["sequential", "thread-pool"]}


@pytest.fixture
def site(stage: Any) -> Any:
    stage.announce(OWN, stage.worker_document(name="real", **{"class": OWN["id"]}))
    return stage


def post(site: Any, path: str, **fields: Any) -> Any:
    return site.http.post(path, data=fields, headers=HTML)


@pytest.mark.parametrize("path", ["/jobs/new", "/comparisons/new"])
def test_a_form_is_a_whole_page(site: Any, path: str) -> None:
    response = site.http.get(path, headers=HTML)
    page = check_page(response.text)
    assert response.status_code == 200
    assert "Sleep, then return the item" in page.text
    labelled = {each.get("for") for each in page.all("label")}
    fields = [*page.all("input"), *page.all("select"), *page.all("textarea")]
    named = [each for each in fields if each.get("type") not in ("radio", "checkbox")]
    assert named and all(each.get("id") in labelled for each in named)


def test_a_form_has_the_fields_of_the_task_in_its_address(site: Any) -> None:
    text = site.http.get("/jobs/new?task=hash&count=3", headers=HTML).text
    assert 'name="params.size_bytes"' in text and 'name="params.seconds"' not in text
    assert "3 items in one batch." in text.replace("\u00a0", " ")


def test_an_order_by_form_is_a_job_like_any_other(site: Any) -> None:
    response = post(site, "/jobs/new", **JOB)
    assert response.status_code == 303, response.text
    job = site.get(f"/v1{response.headers['Location']}")
    assert (job["spec"]["task"], job["spec"]["params"]) == ("sleep", {"seconds": 0.5})
    assert (job["spec"]["items"]["count"], job["spec"]["backend"]) == (6, "thread-pool")


def test_errors_are_those_of_the_api_at_their_fields(site: Any) -> None:
    wrong = JOB | {"params.seconds": "-1", "count": "many"}
    response = post(site, "/jobs/new", **wrong)
    assert response.status_code == 422
    answer = site.http.post("/v1/jobs", json={"task": "sleep", "count": "many"}).get_json()
    assert answer["errors"][0]["message"] in html.unescape(response.text)
    assert (
        'value="many" placeholder="" autocomplete="off" spellcheck="false" aria-invalid="true"'
        in (response.text)
    )
    assert site.get("/v1/jobs")["jobs"] == []


def test_a_form_orders_reducers_a_rate_and_retries_that_wait(site: Any) -> None:
    more = {"rate": "10/s", "logs": "false", "reduce": "mean=mean\nbest=top,k=2"}
    more |= {"retries": "3", "retries.delay_s": "1.5", "retries.on": "OSError"}
    response = post(site, "/jobs/new", **JOB, **more)
    assert response.status_code == 303, response.text
    spec = site.get(f"/v1{response.headers['Location']}")["spec"]
    assert (spec["rate"], spec["logs"]) == ("10/s", False)
    assert (spec["reduce"]["mean"]["op"], spec["reduce"]["best"]["k"]) == ("mean", 2)
    retries = spec["retries"]
    assert (retries["max"], retries["delay_s"], retries["on"]) == (3, 1.5, ["OSError"])


@pytest.mark.parametrize(
    ("field", "text", "said"),
    [
        ("rate", "fast", "must be"),
        ("logs", "maybe", "must be true or false"),
        ("retries.delay_s", "-1", "must be at least 0"),
        ("retries.jitter", "some", "must be"),
        ("retries", "99", "must be at most 20"),
        ("retries", "", "is required"),
        ("reduce", "mean", "must be an object of reducers by name"),
        ("reduce", "best=top", "best.k: `k` must be given for top"),
        ("reduce", "best=nope", "best.op: must be"),
    ],
)
def test_each_field_shows_its_own_error(site: Any, field: str, text: str, said: str) -> None:
    values = JOB | {"retries": "1", "retries.factor": "2", "reduce": "a=sum", field: text}
    shown = post(site, "/jobs/new", **values)
    assert shown.status_code == 422
    slot = shown.text.partition(f'id="{field}-e"')[2].partition("</span></span>")[0]
    assert said in html.unescape(slot), slot
    assert "hidden" not in slot.partition(">")[0]
    assert "<details" in shown.text and " open><summary>More" in shown.text
    marked = shown.text.partition('data-form="json"')[2].partition('data-form="curl"')[0]
    assert field in ("logs", "retries") or "hot wrong" in marked


def test_a_look_orders_nothing(site: Any) -> None:
    response = post(site, "/jobs/new?fragment=preview", **JOB)
    assert response.status_code == 200
    assert response.text.startswith('<div class="fragment" data-fragment="preview">')
    assert "6 items in one batch." in response.text.replace("\u00a0", " ")
    wrong = post(site, "/comparisons/new?fragment=preview", **COMPARISON, rounds="2")
    assert (wrong.status_code, "must be 6 to 100" in wrong.text) == (200, True)
    assert site.get("/v1/jobs")["jobs"] == site.get("/v1/comparisons")["comparisons"] == []


def test_a_comparison_by_form_has_every_combination(site: Any) -> None:
    response = post(site, "/comparisons/new", **COMPARISON, concurrency="2, 4", rounds="7")
    assert response.status_code == 303, response.text
    arms = site.get(f"/v1{response.headers['Location']}")["spec"]["arms"]
    assert [arm["name"] for arm in arms] == ["sequential", "thread-pool 2", "thread-pool 4"]


def test_without_a_way_to_run_it_the_error_stands_at_the_backends(site: Any) -> None:
    response = post(site, "/comparisons/new", task="sleep", count="4")
    assert response.status_code == 422
    assert 'id="backend-e"' in response.text and "must be a list of 1 to 20" in response.text


def test_what_was_typed_comes_back_as_text(site: Any) -> None:
    nasty = '"><script>alert(1)</script>\u202e'
    response = post(site, "/jobs/new", task=nasty, count="1", labels=f"a: {nasty}", items=nasty)
    assert response.status_code == 422
    assert "<script>alert" not in response.text and "\u202e" not in response.text
    check_page(response.text)


def test_another_origin_cannot_order_by_form(site: Any) -> None:
    headers = {**HTML, "Origin": "http://evil.example"}
    assert site.http.post("/jobs/new", data=JOB, headers=headers).status_code == 403


def test_without_a_worker_the_form_says_so(bare: Any) -> None:
    response = bare.http.get("/jobs/new?task=sleep&count=1", headers=HTML)
    assert response.status_code == 200
    assert "Nothing can be taken now." in response.text
    assert post(bare, "/jobs/new", task="sleep", count="1").status_code == 503
