"""Every page in a browser: readable for everybody, at every width, in both themes."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import DESKTOP, PHONE
from tests.support.stack_processes import TERMINAL, StackProcesses
from tests.support.waiting import wait_until

OpenPage = Callable[..., Page]
Axe = Callable[..., list[str]]
HOSTILE = "<script>alert(1)</script>"
NO_PAGES = {"/healthz", "/readyz", "/metrics", "/openapi.json", "/static/<name>"}
NO_PAGES |= {"/jobs/<job_id>/records.<kind>", "/docs/try", "/lessons/<lesson>/<comparison_id>"}
QUERIES = {
    "/jobs/confirm": "?action=delete&id=<job_id>",
    "/jobs/<job_id>": "?item=<failed>",
    "/jobs/<job_id>/timeline": "#item-<failed>",
}


@pytest.fixture(scope="module")
def job(stack: StackProcesses) -> dict[str, Any]:
    """A job with failures, and with a label that would run if it were not shown as text."""
    body = {"task": "fail", "params": {"share": 0.2}, "count": 60, "labels": {"note": HOSTILE}}
    return stack.run(**body, backend="thread-pool", concurrency=2, batches=2)


@pytest.fixture(scope="module")
def comparison(stack: StackProcesses) -> str:
    """A comparison that has ended."""
    body = {"task": "echo", "count": 4, "rounds": 8, "warmup": 0}
    arms = [{"backend": "sequential"}, {"backend": "thread-pool", "concurrency": 2}]
    ordered = stack.stage.http.post("/v1/comparisons", json=body | {"arms": arms})
    path = ordered.get_json()["links"]["self"]
    wait_until(lambda: stack.stage.get(path)["state"] in TERMINAL, 30, "the comparison ended")
    return path.rpartition("/")[2]


@pytest.fixture(scope="module")
def paths(stack: StackProcesses, job: dict[str, Any], comparison: str) -> list[str]:
    """The address of every page that the app has: a new one is tested by itself."""
    failed = next(each for each in stack.records(job["id"]) if each["state"] == "failed")
    known = {"<job_id>": job["id"], "<comparison_id>": comparison, "<lesson>": "gil"}
    known |= {"<failed>": str(failed["index"])}
    rules = [
        rule.rule
        for rule in stack.stage.app.url_map.iter_rules()
        if "GET" in (rule.methods or ()) and not rule.rule.startswith("/v1/")
    ]
    found = [rule + QUERIES.get(rule, "") for rule in rules if rule not in NO_PAGES]
    for name, value in known.items():
        found = [path.replace(name, value) for path in found]
    assert len(found) > 10 and not [path for path in found if "<" in path]
    return found


def test_axe_finds_nothing_serious_in_either_theme(
    open_page: OpenPage, axe: Axe, paths: list[str]
) -> None:
    found = {}
    page = open_page("/")
    for path in paths:
        page.emulate_media(color_scheme="light")
        page.goto(path)
        page.wait_for_load_state("networkidle")
        light = axe(page)
        page.emulate_media(color_scheme="dark")
        found[path] = light + axe(page, "color-contrast", "link-in-text-block")
    assert {path: faults for path, faults in found.items() if faults} == {}


ZOOMED_PX = DESKTOP["width"] // 2
"""Width of a page at 200 % zoom."""

PAPER_PX = 703
"""Width of A4 within its margins."""

CUT_ON_PAPER = """() => [
  ...[...document.querySelectorAll("table, canvas, .chart")].filter((each) => {
    const box = each.getBoundingClientRect();
    return box.width && box.right > document.documentElement.clientWidth + 1;
  }),
  ...[...document.querySelectorAll("button, .btn, .topbar, .filters")].filter(
    (each) => each.offsetWidth,
  ),
].map((each) => each.outerHTML.slice(0, 80))"""


def test_no_page_scrolls_sideways_at_390_px_or_200_percent(
    open_page: OpenPage, paths: list[str]
) -> None:
    page = open_page("/", viewport=PHONE)
    wide = {}
    for path in paths:
        for width in (PHONE["width"], ZOOMED_PX):
            page.set_viewport_size(PHONE | {"width": width})
            page.goto(path)
            found = page.evaluate("document.documentElement.scrollWidth")
            if found > width:
                wide[path, width] = found
    assert wide == {}


def test_paper_has_every_figure_and_no_control(
    open_page: OpenPage, job: dict[str, Any], comparison: str
) -> None:
    page = open_page("/", viewport=PHONE | {"width": PAPER_PX}, color_scheme="dark")
    page.emulate_media(media="print")
    cut = {}
    for path in ("/", f"/jobs/{job['id']}", f"/comparisons/{comparison}"):
        page.goto(path)
        page.wait_for_load_state("networkidle")
        if found := page.evaluate(CUT_ON_PAPER):
            cut[path] = found
    assert cut == {}
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    # The twin of each chart is printed unasked.
    expect(page.locator("details.twin table").first).to_be_visible()


def test_a_label_with_html_stays_text(open_page: OpenPage, job: dict[str, Any]) -> None:
    for path in ("/jobs", f"/jobs/{job['id']}"):
        page = open_page(path)
        expect(page.locator("body")).to_contain_text("<script>alert(1)</script>")


def test_an_unknown_job_has_a_page_that_says_so(open_page: OpenPage) -> None:
    for path in ("/jobs/000000000000000000000000", "/jobs/000000000000000000000000/timeline"):
        page = open_page(path, expected=404)
        expect(page.locator("h1")).to_be_visible()


def test_a_running_job_is_cancelled_from_its_page(
    open_page: OpenPage, stack: StackProcesses
) -> None:
    body = {"task": "sleep", "params": {"seconds": 0.2}, "count": 200}
    running = stack.stage.post(**body)
    page = open_page(f"/jobs/{running['id']}")
    page.get_by_role("link", name="Cancel job").click()
    page.get_by_role("button", name="Cancel").click()
    assert stack.finish(running["id"])["state"] == "cancelled"
    page.goto(f"/jobs/{running['id']}")
    expect(page.locator(".badge.cancelled").first).to_be_visible()


def test_progress_is_followed_without_a_reload(open_page: OpenPage, stack: StackProcesses) -> None:
    body = {"task": "sleep", "params": {"seconds": 0.1}, "count": 20}
    running = stack.stage.post(**body)
    page = open_page(f"/jobs/{running['id']}")
    page.evaluate("window.here = true")
    expect(page.locator(".badge.succeeded").first).to_be_visible()
    assert page.evaluate("window.here") is True


def test_what_failed_is_retried_from_the_page_of_the_job(
    open_page: OpenPage, stack: StackProcesses
) -> None:
    body = {"task": "fail", "params": {"share": 0.3}, "count": 20}
    failed = stack.run(**body)
    page = open_page(f"/jobs/{failed['id']}")
    count = failed["progress"]["failed"]
    page.get_by_role("button", name=re.compile(f"Retry.* {count}")).first.click()
    page.wait_for_load_state()
    retried = stack.stage.get("/v1/jobs?limit=1")["jobs"][0]
    assert retried["spec"]["retry_of"] == failed["id"]
    assert retried["progress"]["total"] == count
    stack.finish(retried["id"])
