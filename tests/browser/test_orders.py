"""Ordering in a browser: a job by form, and the failed items of one."""

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.support.stack_processes import StackProcesses

OpenPage = Callable[..., Page]


def test_a_job_is_ordered_by_form(open_page: OpenPage, stack: StackProcesses) -> None:
    page = open_page("/jobs/new?task=echo")
    page.get_by_label("Count").fill("7")
    expect(page.locator("[data-form=json]").first).to_contain_text('"count": 7')
    page.get_by_role("button", name="Start job").click()
    page.wait_for_url(re.compile("/jobs/[0-9a-f]{24}$"))
    job = stack.finish(page.url.rpartition("/")[2])
    assert job["progress"]["succeeded"] == 7
    expect(page.locator(".badge.succeeded").first).to_be_visible()


def test_what_failed_is_retried_from_the_page_of_the_job(
    open_page: OpenPage, stack: StackProcesses
) -> None:
    body = {"task": "fail", "params": {"share": 0.3}, "count": 20}
    failed = stack.run(**body)
    page = open_page(f"/jobs/{failed['id']}")
    page.get_by_role("button", name=re.compile(f"Retry.* {failed['progress']['failed']}")).first.click()
    page.wait_for_load_state()
    retried = stack.stage.get("/v1/jobs?limit=1")["jobs"][0]
    assert retried["spec"]["retry_of"] == failed["id"]
    assert retried["progress"]["total"] == failed["progress"]["failed"]
    stack.finish(retried["id"])
