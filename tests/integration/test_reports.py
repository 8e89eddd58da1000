"""Reports: one file that loads nothing, whatever the size of the job, and charts over HTTP."""

import re
from base64 import b64encode
from hashlib import sha256
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.integration.test_api_comparisons import post
from tests.integration.test_pages import Page
from tests.support.sampling import full

LOADING = ("script", "link", "img", "iframe", "object", "embed", "form", "video", "audio")


def check_report(text: str, policy: str) -> Page:
    """The file, which loads nothing, and whose only style is the one that its policy allows."""
    page = Page(text)
    assert [name for name, _ in page.elements if name in LOADING] == []
    outside = [value for _, has in page.elements for value in has.values() if value]
    assert [value for value in outside if value.startswith(("http:", "https:", "//"))] == [
        "http://www.w3.org/2000/svg" for each in page.all("svg") if each.get("xmlns")
    ]
    assert [name for name, has in page.elements if "style" in has] == []
    (style,) = re.findall(r"<style>(.*?)</style>", text, re.S)
    assert "url(http" not in style and "@import" not in style
    digest = b64encode(sha256(style.encode()).digest()).decode()
    own = next(each["content"] for each in page.all("meta") if "http-equiv" in each)
    assert own and f"style-src 'sha256-{digest}'" in own and "default-src 'none'" in own
    assert policy == f"{own}; frame-ancestors 'none'"
    assert len(page.all("h1")) == 1
    return page


def read(stage: Any, path: str) -> tuple[str, Page]:
    response = stage.http.get(path, headers={"Accept": "text/html"})
    assert (response.status_code, response.mimetype) == (200, "text/html"), response.text
    return response.text, check_report(response.text, response.headers["Content-Security-Policy"])


def test_the_report_of_a_job_has_its_timeline_failures_and_batches(stage: Any) -> None:
    job_id = stage.post(task="echo", count=10, batches=2, labels={"why": "</style><script>"})["id"]
    _, before = read(stage, f"/v1/jobs/{job_id}/report")
    assert "No item has run" in before.text
    stage.run(job_id, 0, fail=frozenset([3]))
    stage.run(job_id, 1)
    text, page = read(stage, f"/v1/jobs/{job_id}/report")
    assert "10 of 10 items on" in page.text
    assert "Failures, by what went wrong" in page.text and "item 3" in page.text
    assert "</style><script>" in page.text and "loads nothing from anywhere" in page.text
    assert text.count('class="bad failed"') == 2 * 1
    assert {"timeline"} <= {each.get("id") for each in page.all("section")}


def test_a_chart_is_sent_alone_as_svg(stage: Any) -> None:
    job_id = stage.post(task="echo", count=4)["id"]
    path = f"/v1/jobs/{job_id}/report?chart="
    nothing = stage.http.get(f"{path}timeline").get_json()
    assert nothing["detail"] == "chart: unknown chart 'timeline'; known: none yet"
    stage.run(job_id)
    response = stage.http.get(f"{path}timeline", headers={"Accept": "image/svg+xml"})
    assert (response.status_code, response.mimetype) == (200, "image/svg+xml")
    root = ElementTree.fromstring(response.text)
    style = next(each for each in root.iter() if each.tag.endswith("style")).text or ""
    digest = b64encode(sha256(style.encode()).digest()).decode()
    assert f"'sha256-{digest}'" in response.headers["Content-Security-Policy"]
    unknown = stage.http.get(f"{path}nope")
    assert (unknown.status_code, unknown.get_json()["detail"]) == (
        422,
        "chart: unknown chart 'nope'; known: timeline",
    )
    assert stage.http.get(f"{path}timeline", headers={"Accept": "text/html"}).status_code == 406


@pytest.mark.parametrize(
    ("count", "most_bytes"), [(10_000, 400_000), *full((1_000_000, 1_000_000))]
)
def test_a_report_stays_small(stage: Any, count: int, most_bytes: int) -> None:
    job_id = stage.post(task="echo", count=count, batches=2, concurrency=8)["id"]
    for batch in (0, 1):
        stage.run(job_id, batch, fail=frozenset([7]))
    text, page = read(stage, f"/v1/jobs/{job_id}/report")
    assert len(text.encode()) < most_bytes
    assert text.count("pin") or 'class="bad failed"' in text
    assert f"{count:,}".replace(",", " ") in page.text


def test_a_comparison_before_its_end_has_a_report_too(stage: Any) -> None:
    name = post(stage)["id"]
    _, page = read(stage, f"/v1/comparisons/{name}/report")
    assert "It waits for its turn." in page.text
    unknown = stage.http.get(f"/v1/comparisons/{name}/report?chart=ratios")
    assert unknown.get_json()["detail"] == "chart: unknown chart 'ratios'; known: none yet"


def test_an_unknown_id_has_no_report(stage: Any) -> None:
    for kind in ("jobs", "comparisons"):
        for name in ("0" * 24, "x"):
            assert stage.http.get(f"/v1/{kind}/{name}/report").status_code == 404
