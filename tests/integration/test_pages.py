"""The pages: what they answer, and what they let a browser do."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from batchpool.api.app import create_app
from batchpool.api.settings import ApiSettings
from batchpool.ledger.connection import connect

HTML = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


class Page(HTMLParser):
    """What the tests look at: elements with their attributes, and the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", "".join(self.words))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def check_page(text: str) -> Page:
    """The page, which holds nothing that its policy forbids, and one heading."""
    page = Page(text)
    assert [each for each in page.all("script") if "src" not in each] == []
    assert [name for name, has in page.elements if "style" in has or name == "style"] == []
    handlers = [name for _, has in page.elements for name in has if name.startswith("on")]
    assert handlers == []
    assert len(page.all("h1")) == 1
    assert len(page.all("main")) == 1
    ids = [has["id"] for _, has in page.elements if has.get("id")]
    assert len(ids) == len(set(ids))
    return page


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_a_page_loads_from_its_own_origin_alone(stage: Any, path: str) -> None:
    response = stage.http.get(path, headers=HTML)
    page = check_page(response.text)
    policy = response.headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    loaded = [each["href"] for each in page.all("link")] + [
        each["src"] for each in page.all("script")
    ]
    assert loaded
    for address in loaded:
        found = stage.http.get(address)
        assert found.status_code == 200
        assert "immutable" in found.headers["Cache-Control"]
        assert found.data


def test_a_file_without_its_digest_is_asked_for_again(stage: Any) -> None:
    found = stage.http.get("/static/page.css?v=old")
    assert found.headers["Cache-Control"] == "no-cache"
    etag = {"If-None-Match": found.headers["ETag"]}
    assert stage.http.get("/static/page.css", headers=etag).status_code == 304


@pytest.mark.parametrize("name", ["../rendering.py", "%2e%2e%2frendering.py", "x.css", ""])
def test_only_files_of_the_pages_are_served(stage: Any, name: str) -> None:
    assert stage.http.get(f"/static/{name}").status_code == 404


def test_an_unknown_page_is_a_page_and_an_unknown_path_of_the_api_a_problem(stage: Any) -> None:
    missing = stage.http.get("/nope", headers=HTML)
    assert (missing.status_code, missing.mimetype) == (404, "text/html")
    assert "nope" in check_page(missing.text).text
    for path, headers in (("/nope", {}), ("/v1/nope", HTML), ("/static/nope", HTML)):
        problem = stage.http.get(path, headers=headers)
        assert (problem.status_code, problem.mimetype) == (404, "application/problem+json")


def test_a_page_of_another_origin_learns_nothing_from_an_error(stage: Any) -> None:
    response = stage.http.get("/", headers=HTML | {"Host": "evil.example"})
    assert response.status_code == 421
    assert "Redis" not in response.text
    assert "worker" not in response.text.lower()


def test_without_redis_a_page_says_so_and_offers_another_try(tmp_path: Path) -> None:
    with connect(f"unix://{tmp_path}/nobody.sock") as redis:
        http = create_app(ApiSettings.from_env({}), redis).test_client()
        for path in ("/", "/jobs", "/jobs?state=failed"):
            response = http.get(path, headers=HTML)
            assert response.status_code == 503
            page = check_page(response.text)
            assert "Redis cannot be reached" in page.text
            assert path in [each["href"] for each in page.all("a")]
        assert http.get("/v1/jobs", headers=HTML).mimetype == "application/problem+json"


def test_a_fragment_is_what_the_page_holds(stage: Any) -> None:
    whole = stage.http.get("/", headers=HTML).text
    part = stage.http.get("/?fragment=now", headers=HTML)
    assert part.status_code == 200
    assert "<html" not in part.text
    assert part.text.split() == [word for word in part.text.split() if word in whole.split()]
    again = {"If-None-Match": part.headers["ETag"]}
    assert stage.http.get("/?fragment=now", headers=again).status_code == 304
    assert stage.http.get("/?fragment=nope", headers=HTML).status_code == 404


def test_runs_of_comparisons_are_no_recent_jobs(stage: Any) -> None:
    job = stage.post(task="echo", count=1)["id"]
    run = stage.post(task="sleep", count=1)["id"]
    spec = json.loads(stage.redis.hget(f"bp:job:{run}", "spec"))
    spec["comparison"] = {"id": "0" * 24, "arm": 0, "round": 1, "kind": "sample"}
    stage.redis.hset(f"bp:job:{run}", "spec", json.dumps(spec))
    stage.run(run)
    page = check_page(stage.http.get("/", headers=HTML).text)
    assert "1 run of comparisons left out" in page.text
    shown = [each["href"] for each in page.all("a")]
    assert f"/jobs/{job}" in shown
    assert f"/jobs/{run}" not in shown
