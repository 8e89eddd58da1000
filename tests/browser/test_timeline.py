"""The timeline in a browser: what it shows, how one moves in it, and what it asks the server."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.support.sampling import full
from tests.support.stack_processes import StackProcesses
from tests.support.waiting import check_time

OpenPage = Callable[..., Page]
SMALL = {"task": "fail", "params": {"share": 0.2}, "count": 60}


@pytest.fixture(scope="module")
def failed_job(stack: StackProcesses) -> dict[str, Any]:
    body = SMALL | {"backend": "thread-pool", "concurrency": 3, "batches": 2}
    return stack.run(**body)


def shown(page: Page) -> Any:
    return page.locator("[data-part=shown]")


def press(page: Page, name: str) -> None:
    page.locator(f"[data-do={name}]").first.click()


def test_all_items_are_shown_and_a_failed_one_has_its_traceback(
    open_page: OpenPage, failed_job: dict[str, Any]
) -> None:
    page = open_page(f"/jobs/{failed_job['id']}/timeline")
    expect(shown(page)).to_contain_text("60 of 60 items shown")
    lanes = page.locator("[data-part=lanes]")
    lanes.focus()
    page.keyboard.press("n")
    record = page.locator("[data-part=record]")
    expect(record).to_contain_text("TaskFailed")
    expect(record).to_contain_text("Traceback")
    first = record.locator("h2").inner_text()
    page.keyboard.press("N")
    expect(record.locator("h2")).not_to_have_text(first)
    page.keyboard.press("Enter")
    expect(record).to_be_focused()
    page.keyboard.press("Escape")
    expect(lanes).to_be_focused()


def test_the_item_whose_record_is_read_is_retried(
    open_page: OpenPage, failed_job: dict[str, Any], stack: StackProcesses
) -> None:
    page = open_page(f"/jobs/{failed_job['id']}/timeline")
    expect(shown(page)).to_contain_text("60 of 60")
    press(page, "failure")
    record = page.locator("[data-part=record]")
    item = record.locator("h2").inner_text().removeprefix("Item ")
    record.get_by_role("button", name="Retry this item").click()
    expect(page.locator("h1")).to_have_text("fail")
    spec = stack.stage.get(f"/v1/jobs/{page.url.rpartition('/')[2]}")["spec"]
    assert (spec["retry_of"], spec["items"]["first"]) == (failed_job["id"], [int(item)])


def test_zooming_shows_fewer_items_and_says_so(
    open_page: OpenPage, failed_job: dict[str, Any]
) -> None:
    page = open_page(f"/jobs/{failed_job['id']}/timeline")
    expect(shown(page)).to_contain_text("60 of 60")
    for _ in range(4):
        press(page, "in")
    expect(shown(page)).not_to_contain_text("60 of 60")
    expect(shown(page)).to_contain_text("of 60 items shown")
    press(page, "fit")
    expect(shown(page)).to_contain_text("60 of 60")


def test_a_click_on_a_bar_reads_its_record_without_losing_the_place(
    open_page: OpenPage, failed_job: dict[str, Any]
) -> None:
    page = open_page(f"/jobs/{failed_job['id']}/timeline")
    expect(shown(page)).to_contain_text("60 of 60")
    page.locator("[data-part=lanes]").focus()
    page.keyboard.press("ArrowRight")
    record = page.locator("[data-part=record]")
    expect(record).to_contain_text("epoch 1")
    expect(shown(page)).to_contain_text("60 of 60")
    chosen = record.locator("h2").inner_text()
    page.keyboard.press("ArrowRight")
    expect(record.locator("h2")).not_to_have_text(chosen)


def test_a_running_job_is_followed_until_the_first_touch(
    open_page: OpenPage, stack: StackProcesses
) -> None:
    body = {"task": "sleep", "params": {"seconds": 0.2}, "count": 40}
    job = stack.stage.post(**body, backend="thread-pool", concurrency=2)
    page = open_page(f"/jobs/{job['id']}/timeline")
    follow = page.locator("[data-do=follow]")
    expect(follow).to_have_text("Following")
    press(page, "in")
    expect(follow).to_have_text("Follow")
    follow.click()
    expect(follow).to_have_text("Following")
    press(page, "fit")
    expect(shown(page)).to_contain_text("40 of 40 items shown")
    expect(follow).to_be_hidden()


def test_a_binned_view_keeps_its_failures_and_zooms_to_single_bars(
    open_page: OpenPage, stack: StackProcesses
) -> None:
    body = {"task": "fail", "params": {"share": 0.0002}, "count": 20_000}
    job = stack.run(**body, backend="thread-pool", concurrency=2, batches=2)
    failed = job["progress"]["failed"]
    assert 0 < failed < 20
    page = open_page(f"/jobs/{job['id']}/timeline")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    expect(shown(page)).to_contain_text("as shares of")
    expect(shown(page)).to_contain_text(re.compile("^20.000 of 20.000"))
    page.locator("[data-part=lanes]").focus()
    page.keyboard.press("n")
    expect(page.locator("[data-part=record]")).to_contain_text("TaskFailed")
    expect(shown(page)).not_to_contain_text(re.compile("as shares of|reading"))
    windows = [url for url in asked if "/timeline?" in url and "from=" in url]
    assert 1 <= len(windows) <= 3, windows


def test_a_hidden_tab_sends_nothing(open_page: OpenPage, stack: StackProcesses) -> None:
    body = {"task": "sleep", "params": {"seconds": 0.3}, "count": 30}
    job = stack.stage.post(**body)
    page = open_page(f"/jobs/{job['id']}/timeline")
    expect(page.locator("[data-do=follow]")).to_have_text("Following")
    page.evaluate(
        """() => {
            Object.defineProperty(document, "hidden", {get: () => window.away, configurable: true});
            window.away = true;
            document.dispatchEvent(new Event("visibilitychange"));
        }"""
    )
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(1500)
    assert asked == []
    with page.expect_request("**/timeline?*"):
        page.evaluate(
            """() => {
                window.away = false;
                document.dispatchEvent(new Event("visibilitychange"));
            }"""
        )
    stack.stage.http.post(f"/v1/jobs/{job['id']}/cancel")
    stack.finish(job["id"])


def test_the_page_says_so_while_the_server_gives_no_answer(
    open_page: OpenPage, stack: StackProcesses
) -> None:
    body = {"task": "sleep", "params": {"seconds": 0.3}, "count": 20}
    job = stack.stage.post(**body)
    page = open_page(f"/jobs/{job['id']}/timeline", expected_error="net::ERR_TIMED_OUT")
    expect(page.locator("[data-do=follow]")).to_have_text("Following")
    page.route("**/timeline?*", lambda route: route.abort("timedout"))
    notice = page.locator("[data-part=problem]")
    expect(notice).to_contain_text("trying again")
    page.unroute("**/timeline?*")
    expect(notice).to_be_hidden()


def many_bars(bars: int, lanes: int) -> dict[str, Any]:
    """An answer with so many bars, as none of ours has: the server would bin it."""
    each = bars // lanes
    columns = {
        "index": list(range(each)),
        "start": [n * 0.01 for n in range(each)],
        "wall": [0.009] * each,
        "cpu": [0.004] * each,
        "state": "sssssssssf" * (each // 10),
    } | {name: [1] * each for name in ("attempt", "epoch", "batch")}
    place = {"host": "h", "worker": "w", "ppid": 1, "thread": None, "items": each}
    lane = place | {"bars": columns, "starts": [], "queue": []}
    end = each * 0.01
    whole = {"job": "", "state": "failed", "submitted_at": "2026-01-01T00:00:00.000Z", "now": None}
    whole |= {"from": 0, "to": end, "end": end, "width": 1200, "binned": False, "bin_s": None}
    whole |= {"total": bars, "shown": bars, "overview": [80] * 200, "marks": []}
    whole |= {"lanes_total": lanes, "lanes_shown": lanes, "shared_sum": None}
    return whole | {"lanes": [lane | {"pid": n, "label": f"PID {n}"} for n in range(lanes)]}


PAN = """async by => {
    const canvas = document.querySelector("[data-part=lanes]");
    canvas.setPointerCapture = () => {};
    const box = canvas.getBoundingClientRect();
    const send = (kind, x) => canvas.dispatchEvent(new PointerEvent(kind,
        {pointerId: 1, clientX: box.left + x, clientY: box.top + 100, bubbles: true}));
    send("pointerdown", 700);
    const took = [];
    for (let i = 1; i <= 40; i += 1) {
        send("pointermove", 700 + i * by);
        await new Promise(requestAnimationFrame);
        const began = performance.now();
        await new Promise(requestAnimationFrame);
        took.push(performance.now() - began);
    }
    send("pointerup", 700 + 40 * by);
    return Math.max(...took);
}"""


def serve(page: Page, job: dict[str, Any], answer: dict[str, Any]) -> None:
    """Open the timeline of a job with such an answer in place of its own."""
    body = json.dumps(answer)

    def reply(route: Route) -> None:
        route.fulfill(body=body, content_type="application/json")

    page.unroute("**/timeline?*")
    page.route("**/timeline?*", reply)
    page.goto(f"/jobs/{job['id']}/timeline")
    expect(shown(page)).to_contain_text("items shown")


DIFFERENCE = """async (renew) => {
    const canvas = document.querySelector("[data-part=lanes]");
    const pixels = async () => {
        for (let i = 0; i < 3; i += 1) await new Promise(requestAnimationFrame);
        return canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
    };
    const before = await pixels();
    document.documentElement.dataset.theme = renew;
    const after = await pixels();
    return after.filter((value, i) => Math.abs(value - before[i]) > 24).length / after.length;
}"""


def test_a_pan_shows_what_a_full_drawing_shows(
    open_page: OpenPage, failed_job: dict[str, Any]
) -> None:
    page = open_page("/docs")
    serve(page, failed_job, many_bars(2_000, 4))
    for _ in range(2):
        press(page, "in")
    page.evaluate(PAN, -8)
    page.evaluate(PAN, 5)
    assert page.evaluate(DIFFERENCE, "light") < 0.001
    assert page.evaluate(DIFFERENCE, "dark") > 0.2


MARKS = {"worker_lost": "crash", "takeover": "text", "run_again": "late", "refused_write": "text"}
COUNT_PIXELS = """name => {
    const probe = document.body.appendChild(document.createElement("i"));
    probe.style.color = `var(--${name})`;
    const [r, g, b] = getComputedStyle(probe).color.match(/[0-9.]+/g).map(Number);
    const canvas = document.querySelector("[data-part=lanes]");
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    let found = 0;
    for (let i = 0; i < data.length; i += 4) {
        const off = Math.abs(data[i] - r) + Math.abs(data[i + 1] - g) + Math.abs(data[i + 2] - b);
        found += off < 40 ? 1 : 0;
    }
    return found;
}"""


@pytest.mark.parametrize("kind", [*MARKS, "running"])
def test_marks_are_drawn_on_their_lane(
    open_page: OpenPage, failed_job: dict[str, Any], kind: str
) -> None:
    page = open_page("/docs")
    answer = many_bars(20, 2)
    answer |= {"end": 0.5, "to": 0.5, "now": 0.5 if kind == "running" else None}
    colour = MARKS.get(kind, "compute")
    serve(page, failed_job, answer)
    before = page.evaluate(COUNT_PIXELS, colour)
    if kind == "running":
        answer["lanes"][0] |= {"running": 0.2}
    else:
        mark = {"at": 0.23, "kind": kind, "worker": "w", "lane": 0, "batch": 0, "epoch": 1}
        answer["marks"] = [mark | {"from": None, "kept": None, "items": None, "text": ""}]
    serve(page, failed_job, answer)
    assert page.evaluate(COUNT_PIXELS, colour) > before + 10


@pytest.mark.alone
@pytest.mark.parametrize("zooms", [3, *full(0)])
def test_a_view_of_50000_bars_pans_without_a_slow_frame(
    open_page: OpenPage, failed_job: dict[str, Any], zooms: int
) -> None:
    page = open_page("/docs")
    serve(page, failed_job, many_bars(50_000, 16))
    expect(shown(page)).to_contain_text(re.compile("^50.000 of 50.000"))
    for _ in range(zooms):
        press(page, "in")
    check_time("the slowest frame of a pan", page.evaluate(PAN, -8) / 1000, 0.1)
