"""The pages of jobs: list, filters, actions with their confirmation, and the page of one job."""

from typing import Any
from urllib.parse import quote

import pytest

from tests.integration.test_pages import HTML, check_page

SCRIPT = "<script>alert(1)</script>"


def order(stage: Any, **body: Any) -> str:
    return stage.post(**{"task": "echo", "count": 3, **body})["id"]


def show(stage: Any, path: str, status: int = 200) -> Any:
    response = stage.http.get(path, headers=HTML)
    assert response.status_code == status, response.text
    assert response.mimetype == "text/html"
    return check_page(response.text)


def links(page: Any) -> set[str]:
    return {each["href"] for each in page.all("a") if each.get("href")}


def test_stored_markup_stays_text_on_every_page(stage: Any) -> None:
    kinds = {"kinds": {"op": "count_values"}}
    items = [SCRIPT, "a\u202eb"]
    job = order(stage, items=items, count=None, labels={"note": SCRIPT}, reduce=kinds)
    stage.run(job, fail=frozenset({1}))
    for path in ("/", "/jobs", f"/jobs/{job}", f"/jobs/{job}?item=0", f"/jobs/{job}?item=1"):
        page = show(stage, path)
        assert SCRIPT in page.text or path in ("/", f"/jobs/{job}?item=1")
        assert "\u202e" not in page.text
    assert f'"{SCRIPT}": 1' in show(stage, f"/jobs/{job}").text
    assert SCRIPT in stage.http.get(f"/v1/jobs/{job}").text


def test_the_overview_says_how_things_are(stage: Any) -> None:
    assert "Nothing is running. One worker is free." in show(stage, "/").text
    running, waiting = order(stage), order(stage, task="sleep")
    stage.claim(running)
    page = show(stage, "/")
    assert "One job is running and one waits. Nothing is stuck." in page.text
    assert {f"/jobs/{running}", f"/jobs/{waiting}"} <= links(page)
    stage.leave("w1")
    stage.until(lambda: "No worker is here." in show(stage, "/").text)
    assert "batchpool worker" in show(stage, "/").text


def test_the_list_is_filtered_by_its_address(stage: Any) -> None:
    done, other = order(stage, labels={"run": "nightly"}), order(stage, task="sleep")
    stage.run(done)

    def listed(query: str) -> list[str]:
        found = show(stage, f"/jobs?{query}")
        return [each["value"] for each in found.all("input") if each.get("name") == "id"]

    assert listed("") == [other, done]
    assert listed("state=succeeded") == [done]
    assert listed("task=sleep") == [other]
    assert listed("label=run:+nightly") == [done]
    assert listed("label=run%3Dnightly&state=queued") == []
    assert listed("since=1h") == [other, done]
    stage.redis.zadd("bp:jobs", {f"bp:job:{done}": 1})
    stage.redis.hset(f"bp:job:{done}", "submitted_ms", 1)
    assert listed("since=24h") == [other]
    for wrong in ("state=nope", "label=nope", "since=nope", "cursor=nope"):
        field = wrong.partition("=")[0]
        assert field in show(stage, f"/jobs?{wrong}", 422).text.lower()


def test_a_long_list_goes_on_where_it_ended(stage: Any) -> None:
    jobs = [order(stage, count=1) for _ in range(53)]
    first = show(stage, "/jobs")
    assert "50 of 53 jobs shown" in first.text
    (older,) = [href for href in links(first) if "cursor=" in href]
    second = show(stage, older)
    ids = {each["value"] for each in second.all("input") if each.get("name") == "id"}
    assert ids == set(jobs[:3])


@pytest.mark.parametrize(
    ("action", "word"), [("delete", "Delete"), ("retry", "Retry"), ("cancel", "Cancel")]
)
def test_a_confirmation_names_how_many(stage: Any, action: str, word: str) -> None:
    ended, queued = [order(stage) for _ in range(2)], [order(stage) for _ in range(2)]
    for job in ended:
        stage.run(job, fail=frozenset({0}))
    chosen = "&".join(f"id={job}" for job in (*ended, *queued))
    page = show(stage, f"/jobs/confirm?action={action}&{chosen}")
    assert f"{word} 2 jobs?" in page.text
    assert "echo (3 items) and echo (3 items)" in page.text
    (posted,) = [each["value"].split() for each in page.all("input") if each.get("name") == "ids"]
    assert posted == (queued if action == "cancel" else ended)
    before = len(stage.get("/v1/jobs")["jobs"])
    answer = stage.http.post("/jobs/actions", data={"action": action, "id": posted}, headers=HTML)
    assert answer.status_code == 303
    assert "Two jobs were" in show(stage, answer.headers["Location"]).text
    after = stage.get("/v1/jobs")["jobs"]
    assert len(after) - before == {"delete": -2, "retry": 2, "cancel": 0}[action]
    if action == "cancel":
        assert {job["state"] for job in after if job["id"] in queued} == {"cancelled"}


def test_all_that_match_are_taken_and_counted(stage: Any) -> None:
    for index in range(4):
        stage.run(order(stage, labels={"run": str(index % 2)}))
    page = show(stage, "/jobs/confirm?action=delete&match=1&label=run%3D1&state=succeeded")
    assert "Delete 2 jobs?" in page.text


def test_all_that_match_are_retried_once(stage: Any) -> None:
    failed = [order(stage, labels={"run": "1"}) for _ in range(3)]
    for job in failed:
        stage.run(job, fail=frozenset({0}))
    match = "/jobs/confirm?action=retry&match=1&label=run%3D1"
    page = show(stage, match)
    assert "Retry 3 jobs?" in page.text
    fields = {each["name"]: each["value"] for each in page.all("input")}
    for said in ("Three jobs were sent again.", "No jobs were sent again."):
        answer = stage.http.post("/jobs/actions", data=fields, headers=HTML)
        assert said in show(stage, answer.headers["Location"]).text
    again = stage.get("/v1/jobs?state=queued")["jobs"]
    assert sorted(job["spec"]["retry_of"] for job in again) == sorted(failed)
    show(stage, match, 409)
    # One that is chosen is retried as often as one likes.
    data = {"action": "retry", "id": failed[0]}
    assert stage.http.post("/jobs/actions", data=data, headers=HTML).status_code == 303
    assert len(stage.get("/v1/jobs?state=queued")["jobs"]) == 4


def test_thousands_are_left_to_the_reconciler(stage: Any) -> None:
    ids = [f"{number:024x}" for number in range(501)]
    data = {"action": "delete", "ids": " ".join(ids)}
    answer = stage.http.post("/jobs/actions", data=data, headers=HTML)
    page = show(stage, answer.headers["Location"])
    assert "501 jobs will be deleted within some seconds." in page.text
    assert stage.redis.scard("bp:bulk") == 501


def test_keeping_them_goes_back_to_the_same_list(stage: Any) -> None:
    job = order(stage)
    stage.run(job)
    page = show(stage, "/jobs?state=succeeded&since=1h")
    (back,) = [each["value"] for each in page.all("input") if each.get("name") == "back"]
    assert back == "/jobs?state=succeeded&since=1h"
    chosen = f"/jobs/confirm?action=delete&id={job}&back="
    assert back in links(show(stage, chosen + quote(back)))
    for foreign in ("//evil.example", "https://evil.example", "javascript:alert(1)"):
        assert foreign not in links(show(stage, chosen + quote(foreign)))


def test_what_cannot_be_done_is_said(stage: Any) -> None:
    job = order(stage)
    for query, status in (
        ("action=delete", 422),
        (f"action=nope&id={job}", 422),
        (f"action=delete&id={job}", 409),
        ("action=delete&id=0123456789abcdef01234567", 409),
    ):
        show(stage, f"/jobs/confirm?{query}", status)
    data = {"action": "delete", "id": [job]}
    answer = stage.http.post("/jobs/actions", data=data, headers=HTML)
    assert "could not be" in show(stage, answer.headers["Location"]).text
    assert stage.get(f"/v1/jobs/{job}")["state"] == "queued"


def test_a_page_of_another_origin_can_post_nothing(stage: Any) -> None:
    job = order(stage)
    stage.run(job)
    data = {"action": "delete", "id": [job]}
    for origin in ("http://evil.example", "null"):
        headers = HTML | {"Origin": origin}
        answer = stage.http.post("/jobs/actions", data=data, headers=headers)
        assert answer.status_code == 403
    assert stage.get(f"/v1/jobs/{job}")["state"] == "succeeded"


def test_the_page_of_a_job_has_all_of_it(stage: Any) -> None:
    job = order(stage, count=30, batches=2, shared_sum="racy", labels={"run": "nightly"})
    stage.claim(job, 1)
    page = show(stage, f"/jobs/{job}")
    assert "0 of 30 items are done" in page.text
    assert [
        each for each in page.all("body") if each.get("data-events") == f"/v1/jobs/{job}/events"
    ]
    other = order(stage, count=30, batches=2, shared_sum="racy")
    stage.run(other, 0, fail=frozenset({3}))
    stage.run(other, 1)
    page = show(stage, f"/jobs/{other}")
    assert "1 of 30 items failed. The other 29 are done." in page.text
    assert "data-events" not in str(page.all("body"))
    assert f"/jobs/{other}?state=failed#records" in links(page)
    assert {"batch-0", "batch-1", "records"} <= {has.get("id") for _, has in page.elements}
    assert "Exact sum" in page.text and "432" in page.text
    assert "batchpool submit echo" in page.text
    failed = show(stage, f"/jobs/{other}?state=failed")
    assert f"/jobs/{other}?item=3#record" in links(failed)
    record = show(stage, f"/jobs/{other}?state=failed&item=3").text
    assert "Item 3" in record and "ValueErrorno" in record and "Traceback ..." in record


def test_records_are_paged(stage: Any) -> None:
    job = order(stage, count=45)
    stage.run(job)
    seen, path = [], f"/jobs/{job}"
    while path:
        page = show(stage, path)
        seen += [href for href in links(page) if "?item=" in href]
        path = next((href for href in links(page) if "from=" in href), "")
    assert len(seen) == len(set(seen)) == 45


def test_an_unknown_job_is_a_page(stage: Any) -> None:
    for name in ("0123456789abcdef01234567", "nope", "%3Cscript%3E"):
        assert "never submitted, deleted, or expired" in show(stage, f"/jobs/{name}", 404).text
    job = order(stage)
    show(stage, f"/jobs/{job}?item=0", 404)
    for wrong in ("from=-1", "batches=x", "item=1e3", "state=nope"):
        show(stage, f"/jobs/{job}?{wrong}", 422)


def test_fragments_of_a_job_are_those_of_its_page(stage: Any) -> None:
    job = order(stage)
    names = "top,progress,batches,records,sums"
    part = stage.http.get(f"/jobs/{job}?fragment={names}", headers=HTML)
    assert part.status_code == 200
    assert [part.text.count(f'data-fragment="{name}"') for name in names.split(",")] == [1] * 5
    again = {"If-None-Match": part.headers["ETag"]}
    stage.run(job)
    renewed = stage.http.get(f"/jobs/{job}?fragment={names}", headers=HTML | again)
    assert renewed.status_code == 200
    assert "succeeded" in renewed.text


def test_failures_are_grouped_and_a_group_is_retried(stage: Any) -> None:
    job = order(stage, items=[10, 11, 12, 13], count=None)
    stage.run(job, fail=frozenset({1, 3}))
    page = show(stage, f"/jobs/{job}")
    assert "2 of 4 items" in page.text
    assert "ValueError" in page.text
    assert "items 1, 3" in page.text
    assert "Retry these 2" in page.text
    fields = {"type": "ValueError"}
    answer = stage.http.post(f"/jobs/{job}/retry", data=fields, headers=HTML)
    assert answer.status_code == 303
    again = stage.get(f"/v1{answer.headers['Location']}")
    assert again["spec"]["retry_of"] == job
    assert again["spec"]["items"]["first"] == [11, 13]
    for wrong, status in (({"type": "KeyError"}, 409), ({}, 422), ({**fields, "line": "x"}, 422)):
        refused = stage.http.post(f"/jobs/{job}/retry", data=wrong, headers=HTML)
        assert refused.status_code == status
    assert "Retry these" not in show(stage, f"/jobs/{order(stage)}").text


def test_one_item_is_retried_from_its_record(stage: Any) -> None:
    job = order(stage, items=[10, 11, 12, 13], count=None)
    stage.run(job, fail=frozenset({1, 3}))
    path = f"/jobs/{job}?fragment=record&item="
    record = stage.http.get(path + "3", headers=HTML)
    assert f'action="/jobs/{job}/retry"' in record.text and "Retry this item" in record.text
    assert "Retry this item" not in stage.http.get(path + "2", headers=HTML).text
    assert stage.http.get(path + "4", headers=HTML).status_code == 404
    answer = stage.http.post(f"/jobs/{job}/retry", data={"item": "3"}, headers=HTML)
    assert answer.status_code == 303
    again = stage.http.get(answer.headers["Location"].replace("/jobs", "/v1/jobs")).json
    assert (again["spec"]["retry_of"], again["spec"]["items"]["first"]) == (job, [13])
    for item, status in (("2", 409), ("9", 409), ("x", 422)):
        refused = stage.http.post(f"/jobs/{job}/retry", data={"item": item}, headers=HTML)
        assert refused.status_code == status, item


def test_only_the_items_of_one_cause_are_retried(stage: Any) -> None:
    job = order(stage, items=[10, 11, 12, 13], count=None, batches=2)
    stage.run(job, 0, fail=frozenset({1}))
    stage.http.post(f"/v1/jobs/{job}/cancel")
    answer = stage.http.post(f"/jobs/{job}/retry", data={"type": "ValueError"}, headers=HTML)
    assert answer.status_code == 303
    again = stage.get(f"/v1{answer.headers['Location']}")
    assert again["spec"]["items"]["first"] == [11]


def test_records_are_kept_as_files(stage: Any) -> None:
    job = order(stage)
    stage.run(job, fail=frozenset({2}))
    for kind, lines in (("ndjson", 3), ("csv", 4)):
        found = stage.http.get(f"/jobs/{job}/records.{kind}", headers=HTML)
        assert len(found.text.splitlines()) == lines
        assert found.headers["Content-Disposition"] == f'attachment; filename="{job}.{kind}"'
    failed = stage.http.get(f"/jobs/{job}/records.csv?state=failed", headers=HTML)
    assert len(failed.text.splitlines()) == 2
    show(stage, f"/jobs/{job}/records.exe", 404)
    show(stage, "/jobs/nope/records.csv", 404)
