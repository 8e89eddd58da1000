"""Forms and lessons in a browser: errors while typing, an order, a lesson to its sentence."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

OpenPage = Callable[..., Page]


def preview(page: Page, form: str = "json") -> str:
    return page.locator(f'[data-form="{form}"] pre').inner_text()


def test_a_job_is_ordered_by_form(open_page: OpenPage) -> None:
    page = open_page("/jobs/new")
    page.select_option("#task", "sleep")
    page.get_by_label("seconds").first.fill("-1")
    page.get_by_label("Items").first.fill("4")
    error = page.locator('[id="params.seconds-e"]')
    expect(error).to_contain_text("must be at least 0")
    expect(page.get_by_label("seconds").first).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_role("button", name="Start job")).to_be_disabled()
    page.get_by_label("seconds").first.fill("0.05")
    expect(error).to_be_hidden()
    page.get_by_text("threads that are kept").click()
    expect(page.locator('[data-fragment="preview"]')).to_contain_text("It runs on thread-pool")
    page.get_by_text("Command line").click()
    assert "batchpool submit sleep" in preview(page, "command")
    page.get_by_role("button", name="Start job").click()
    page.wait_for_url(re.compile("/jobs/[0-9a-f]{24}$"))
    expect(page.locator("h1")).to_be_visible()


def test_a_job_is_ordered_without_a_script(open_page: OpenPage) -> None:
    page = open_page("/jobs/new", expected_error="status of 422", java_script_enabled=False)
    page.get_by_role("link", name="Five sleeps").click()
    page.get_by_label("Items").first.fill("many")
    page.get_by_role("button", name="Start job").click()
    expect(page.locator("#count-e")).to_contain_text("must be a whole number")
    page.get_by_label("Items").first.fill("2")
    page.get_by_role("button", name="Start job").click()
    page.wait_for_url(re.compile("/jobs/[0-9a-f]{24}$"))


def test_another_task_brings_its_own_fields(open_page: OpenPage) -> None:
    page = open_page("/comparisons/new")
    page.get_by_label("Items").first.fill("8")
    page.select_option("#task", "hash")
    expect(page.get_by_label("size_bytes")).to_be_visible()
    expect(page.get_by_label("Items").first).to_have_value("8")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("race", "Without a lock"),
        pytest.param("gil", "Two threads needed|No lesson from this run", marks=pytest.mark.full),
    ],
)
def test_a_lesson_is_run_by_one_button_to_its_sentence(
    open_page: OpenPage, name: str, said: str
) -> None:
    page = open_page(f"/lessons/{name}")
    page.get_by_role("button", name="Run it").click()
    page.wait_for_url(re.compile(f"/lessons/{name}/[0-9a-f]{{24}}$"))
    expect(page.locator(".said")).to_have_text(re.compile(said), timeout=120_000)
    expect(page.locator(".stage .only-wide svg.chart")).to_have_count(2)
    page.locator(".moments label").first.click()
    curtain = page.locator(".only-wide .curtain").first
    assert curtain.evaluate("each => getComputedStyle(each).transform") == "none"
