"""Pages follow what they show, say when they cannot, and ask for nothing while hidden."""

import os
import re
import signal
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, NamedTuple

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.faults.apis import start_api
from tests.support.stack_processes import StackProcesses
from tests.support.waiting import wait_until

SLOW = {"task": "sleep", "params": {"seconds": 0.05}, "backend": "thread-pool", "concurrency": 2}
HIDE = """hidden => {
  Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""

COUNT_STREAMS = """window.streams = [];
window.EventSource = class extends EventSource {
  constructor(...given) { super(...given); window.streams.push(this); }
};"""
OPEN_STREAMS = "window.streams.filter((each) => each.readyState !== EventSource.CLOSED).length"


class Api(NamedTuple):
    """An API of its own with one event stream, which a test may stop."""

    url: str
    pid: int


@pytest.fixture(scope="module")
def own_api(stack: StackProcesses) -> Api:
    url = start_api(stack, BATCHPOOL_API_MAX_EVENT_STREAMS="1")
    return Api(url, stack.members[-1].pid)


@pytest.fixture
def running(stack: StackProcesses) -> Iterator[str]:
    """The id of a job that runs until the test has ended."""
    job = stack.stage.post(**SLOW, count=100_000)["id"]
    yield job
    stack.stage.http.post(f"/v1/jobs/{job}/cancel")


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    yield context.new_page()
    context.close()


def done(page: Page) -> int:
    """Items that are done, by the sentence at the top."""
    found = re.match(r"([\d\u202f]+) of", page.inner_text(".lead"))
    return int(found[1].replace("\u202f", "")) if found else 0


def goes_on(page: Page) -> None:
    before = done(page)
    wait_until(lambda: done(page) > before, 10, "the page goes on")


def test_a_page_without_a_stream_asks_and_says_so(
    page: Page, browser: Browser, own_api: Api, running: str
) -> None:
    first = browser.new_page()
    first.goto(f"{own_api.url}/jobs/{running}")
    expect(first.locator("[data-live-state]")).to_have_text("live")
    page.goto(f"{own_api.url}/jobs/{running}")
    expect(page.locator("[data-live-state]")).to_contain_text("all streams are in use")
    goes_on(page)
    goes_on(first)
    first.close()


def test_a_page_keeps_what_it_has_while_nobody_answers(
    page: Page, own_api: Api, running: str
) -> None:
    page.goto(f"{own_api.url}/jobs/{running}")
    goes_on(page)
    pids = [own_api.pid, *_children(own_api.pid)]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        notice = page.locator("[data-live-notice]")
        expect(notice).to_be_visible(timeout=30_000)
        expect(notice).to_contain_text("trying again. What you see is from")
        said = page.locator("[data-announce]")
        expect(said).to_have_text("No answer, trying again.")
        assert done(page) > 0
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
    expect(notice).to_be_hidden(timeout=30_000)
    expect(said).to_have_text("sleep: running", timeout=10_000)
    goes_on(page)


def test_a_hidden_page_asks_for_nothing_and_has_no_stream(
    page: Page, base_url: str, running: str
) -> None:
    page.add_init_script(COUNT_STREAMS)
    page.goto(f"{base_url}/jobs/{running}")
    goes_on(page)
    assert page.evaluate(OPEN_STREAMS) == 1
    page.evaluate(HIDE, True)
    assert page.evaluate(OPEN_STREAMS) == 0
    page.wait_for_timeout(500)  # What was under way arrives.
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    before = done(page)
    page.wait_for_timeout(2500)
    assert (asked, done(page)) == ([], before)
    page.evaluate(HIDE, False)
    goes_on(page)


RENEWAL = re.compile(r"[?&]fragment=")
ENDED = re.compile("^ended$")


def test_an_answer_that_was_under_way_at_the_end_is_not_the_last(
    page: Page, base_url: str, running: str, stack: StackProcesses
) -> None:
    page.goto(f"{base_url}/jobs/{running}")
    goes_on(page)
    held: list[Any] = []

    def hold_one(route: Route) -> None:
        if held:
            route.continue_()
        else:
            held.append((route, route.fetch()))

    page.route(RENEWAL, hold_one)
    wait_until(lambda: page.wait_for_timeout(50) or held, 10, "an answer is under way")
    stack.stage.http.post(f"/v1/jobs/{running}/cancel")
    stack.finish(running)
    page.wait_for_timeout(500)
    (route, answer) = held[0]
    route.fulfill(response=answer)
    expect(page.locator("[data-state]").first).to_have_attribute("data-state", "sleep: cancelled")
    expect(page.locator("[data-live-state]")).to_have_text(ENDED)


@pytest.mark.parametrize("how", ["refused", "hidden"])
def test_the_end_is_shown_though_the_first_question_after_it_had_no_answer(
    page: Page, base_url: str, running: str, stack: StackProcesses, how: str
) -> None:
    page.goto(f"{base_url}/jobs/{running}")
    goes_on(page)
    asked: list[str] = []

    def refuse_one(route: Route) -> None:
        job = stack.stage.get(f"/v1/jobs/{running}")
        if job["state"] == "running" or asked:
            route.continue_()
            return
        asked.append(route.request.url)
        if how == "hidden":
            page.evaluate(HIDE, True)
        route.fulfill(status=503, body="busy")

    page.route(RENEWAL, refuse_one)
    stack.stage.http.post(f"/v1/jobs/{running}/cancel")
    wait_until(lambda: page.wait_for_timeout(50) or asked, 20, "a question had no answer")
    if how == "hidden":
        page.evaluate(HIDE, False)
    expect(page.locator("[data-state]").first).to_have_attribute("data-state", "sleep: cancelled")
    expect(page.locator("[data-live-state]")).to_have_text(ENDED)


def test_the_end_is_shown_in_a_part_too_that_the_pointer_kept_as_it_was(
    page: Page, base_url: str, running: str, stack: StackProcesses
) -> None:
    page.goto(f"{base_url}/jobs/{running}")
    goes_on(page)
    page.locator("[data-still]").first.hover()
    stack.stage.http.post(f"/v1/jobs/{running}/cancel")
    stack.finish(running)
    page.wait_for_timeout(3000)
    expect(page.locator("[data-live-state]")).to_have_text("live")
    page.mouse.move(0, 0)
    expect(page.locator("[data-live-state]")).to_have_text(ENDED)


def test_what_the_reader_opened_and_chose_stays(page: Page, base_url: str, running: str) -> None:
    page.goto(f"{base_url}/jobs/{running}")
    page.locator(".forms summary", has_text="Python").click()
    page.locator("summary", has_text="Download").click()
    page.locator("#batches h2").evaluate("each => getSelection().selectAllChildren(each)")
    goes_on(page)
    assert page.locator(".forms details").nth(1).get_attribute("open") is not None
    assert page.locator("details.menu").get_attribute("open") is not None
    assert page.evaluate("String(getSelection())") == "Batches"


def test_pages_are_renewed_at_most_once_a_second(page: Page, base_url: str, running: str) -> None:
    page.goto(f"{base_url}/jobs/{running}")
    goes_on(page)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(4000)
    assert 1 <= len([url for url in asked if "fragment=" in url]) <= 4


def test_code_is_copied_where_the_clipboard_has_no_interface(
    page: Page, base_url: str, running: str
) -> None:
    page.add_init_script("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    page.goto(f"{base_url}/jobs/{running}")
    button = page.locator(".forms [data-copy]").first
    button.click()
    expect(button).to_have_text("Copied")


def test_jobs_are_chosen_and_deleted(page: Page, base_url: str, stack: StackProcesses) -> None:
    jobs = [stack.run(task="echo", count=1, labels={"chosen": "yes"}) for _ in range(3)]
    page.goto(f"{base_url}/jobs?label=chosen%3Dyes")
    bar = page.locator(".bulk")
    expect(bar).to_be_hidden()
    page.locator('[name="id"]').first.check()
    expect(bar).to_contain_text("1 chosen")
    page.locator("[data-choose-all]").check()
    expect(bar).to_contain_text("3 chosen")
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Delete 3 jobs").click()
    expect(page.locator(".notice.good")).to_contain_text("Three jobs were deleted.")
    for job in jobs:
        assert stack.stage.http.get(f"/v1/jobs/{job['id']}").status_code == 404


def _children(pid: int) -> list[int]:
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(child) for child in file.read().split()]


def test_a_page_reads_without_a_script(browser: Browser, base_url: str, running: str) -> None:
    context: Any = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    for path in ("/", "/jobs", f"/jobs/{running}"):
        page.goto(f"{base_url}{path}")
        expect(page.locator("h1")).to_be_visible()
    wait_until(lambda: page.reload() and done(page) > 0, 10, "a reload shows progress")
    expect(page.locator("#records tbody tr").first).to_be_visible()
    context.close()
