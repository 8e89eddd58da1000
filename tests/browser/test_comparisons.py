"""Comparisons in a browser: followed to the verdict without a reload, and cancelled."""

import re
from typing import Any

from playwright.sync_api import expect

from tests.browser.conftest import OpenPage
from tests.support.stack_processes import StackProcesses

ARMS = [{"backend": "sequential"}, {"backend": "thread-pool", "concurrency": 4}]
ORDER: dict[str, Any] = {"task": "sleep", "count": 4, "arms": ARMS, "rounds": 6}
WITHIN_MS = 60_000


def post(stack: StackProcesses, seconds: float) -> str:
    order = ORDER | {"params": {"seconds": seconds}}
    answer = stack.stage.http.post("/v1/comparisons", json=order)
    assert answer.status_code == 202, answer.text
    return str(answer.get_json()["id"])


def test_a_comparison_is_followed_to_its_verdict(
    open_page: OpenPage, stack: StackProcesses
) -> None:
    name = post(stack, 0.05)
    page = open_page(f"/comparisons/{name}")
    expect(page.locator("h1")).to_contain_text("runs are done", timeout=WITHIN_MS)
    expect(page.get_by_role("button", name="Cancel comparison")).to_be_visible()
    expect(page.locator("#ratios .only-wide svg")).to_be_visible(timeout=WITHIN_MS)
    # On a machine that is too busy there may be no verdict, but never another one.
    expect(page.locator("h1")).to_contain_text(re.compile("Take thread-pool 4|Nothing is proven"))
    expect(page.locator("#timelines svg .wall").first).to_be_visible()
    expect(page.get_by_role("button", name="Cancel comparison")).to_have_count(0)
    page.locator("#ratios summary").click()
    expect(page.locator("#ratios table")).to_be_visible()


def test_a_comparison_is_cancelled_from_its_page(
    open_page: OpenPage, stack: StackProcesses
) -> None:
    page = open_page(f"/comparisons/{post(stack, 1.0)}")
    page.get_by_role("button", name="Cancel comparison").click()
    expect(page.locator("h1")).to_have_text("Nothing is proven.", timeout=WITHIN_MS)
    expect(page.get_by_text("Cancelled after")).to_be_visible()
