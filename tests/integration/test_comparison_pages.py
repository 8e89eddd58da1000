"""/comparisons and its pages: listed, filtered, cancelled, and unknown ones."""

from typing import Any

from batchpool.ledger import keys
from tests.integration.test_api_comparisons import post
from tests.integration.test_pages import HTML, check_page

ORIGIN = {"Origin": "http://localhost"}


def read(stage: Any, path: str, status: int = 200) -> Any:
    response = stage.http.get(path, headers=HTML)
    assert response.status_code == status, response.text
    assert response.mimetype == "text/html"
    return check_page(response.text)


def test_the_list_is_filtered_by_its_address_and_paged(stage: Any) -> None:
    assert "No comparison yet" in read(stage, "/comparisons").text
    ids = [post(stage, seed=seed)["id"] for seed in range(22)][::-1]
    first = read(stage, "/comparisons")
    links = [each["href"] for each in first.all("a")]
    shown = [link for link in links if link in {f"/comparisons/{each}" for each in ids}]
    assert shown == [f"/comparisons/{each}" for each in ids[:20]]
    assert "20 comparisons shown; there are more" in first.text
    (older,) = [link for link in links if link and "cursor=" in link]
    assert f"/comparisons/{ids[21]}" in [each["href"] for each in read(stage, older).all("a")]
    assert "No comparison is like this" in read(stage, "/comparisons?state=running").text
    assert "20 comparisons" in read(stage, "/comparisons?state=queued&task=").text
    assert "must be" in read(stage, "/comparisons?state=x", 422).text


def test_a_queued_comparison_is_cancelled_on_its_page(stage: Any) -> None:
    name = post(stage, labels={"why": "<i>"})["id"]
    page = read(stage, f"/comparisons/{name}")
    assert "It waits for its turn." in page.text and "<i>" in page.text
    assert page.all("body")[0]["data-events"] == f"/v1/comparisons/{name}/events"
    part = stage.http.get(f"/comparisons/{name}?fragment=now,actions,results", headers=HTML)
    assert part.text.count('class="fragment"') == 3
    (form,) = page.all("form")
    sent = stage.http.post(form["action"], headers=HTML | ORIGIN)
    assert (sent.status_code, sent.headers["Location"]) == (303, f"/comparisons/{name}")
    ended = read(stage, f"/comparisons/{name}")
    assert "Nothing is proven." in ended.text and "Cancelled after 0 of 32 runs" in ended.text
    assert ended.all("form") == [] and "data-events" not in ended.all("body")[0]
    # Twice is no error: what the reader wanted has happened.
    assert stage.http.post(form["action"], headers=HTML | ORIGIN).status_code == 303


def test_an_unknown_comparison_is_a_page_that_says_so(stage: Any) -> None:
    for name in ("0" * 24, "x", "%3Cscript%3E"):
        page = read(stage, f"/comparisons/{name}", 404)
        assert "never submitted, deleted, or expired" in page.text
    assert stage.http.post(f"/comparisons/{'0' * 24}/cancel", headers=ORIGIN).status_code == 404


def test_a_comparison_that_cannot_be_read_is_left_out_of_the_list(stage: Any) -> None:
    good, bad = post(stage, seed=1)["id"], post(stage, seed=2)["id"]
    stage.redis.hset(keys.comparison_key(bad), "spec", "{")
    page = read(stage, "/comparisons")
    links = [each["href"] for each in page.all("a")]
    assert f"/comparisons/{good}" in links and f"/comparisons/{bad}" not in links
