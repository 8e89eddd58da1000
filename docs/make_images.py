"""Write docs/images: pages of a real stack, with jobs that it just ran (`make screenshots`).

A worker is killed while it runs a batch, so that the timeline shows how another one takes over.
"""

import base64
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page, sync_playwright

from batchpool.client import Client
from batchpool.stack.local_stack import LocalStack, StackOptions

ROOT = Path(__file__).parents[1]
LESSON_TRIES = 5
FOLDER = ROOT / "docs/images"
LOOKS = {
    "light": {"color_scheme": "light", "viewport": {"width": 1280, "height": 800}},
    "dark": {"color_scheme": "dark", "viewport": {"width": 1280, "height": 800}},
    "390": {"color_scheme": "light", "viewport": {"width": 390, "height": 844}},
}
TALLEST_PX = 1700
MOST_BYTES = 150_000
ARMS = [
    {"backend": "sequential"},
    {"backend": "thread-pool", "concurrency": 2},
    {"backend": "thread-pool", "concurrency": 4},
    {"backend": "process-pool", "concurrency": 4},
]
Prepare = Callable[[Page], None]


def main() -> None:
    """Run what the pages show, then write each page in all looks."""
    FOLDER.mkdir(exist_ok=True)
    with (
        TemporaryDirectory(prefix="shop-") as folder,
        LocalStack(stack_options(Path(folder) / "tasks")) as stack,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        with Client(stack.url) as client:
            taken_over = run_with_takeover(client)
            compared = run_comparison(client)
            lesson = run_lesson(browser, stack.url)
            running = start_running(client)
            shoot(browser, stack.url, "overview", "/")
            shoot(browser, stack.url, "job", f"/jobs/{running}")
            shoot(browser, stack.url, "timeline", f"/jobs/{taken_over}/timeline", next_failure)
            shoot(browser, stack.url, "comparison", f"/comparisons/{compared}")
            shoot(browser, stack.url, "lesson", lesson)


def stack_options(tasks: Path) -> StackOptions:
    """Two workers with a copy of our tasks: a path of this checkout would show in tracebacks."""
    shutil.copytree(ROOT / "docs/images_tasks", tasks)
    environ = {"BATCHPOOL_TASKS_DIR": str(tasks), "BATCHPOOL_LEASE_S": "4"}
    return StackOptions(temporary=True, environ=os.environ | environ)


def run_with_takeover(client: Client) -> str:
    """A job of four threads in each worker, one of which is killed on the way."""
    job = client.submit(
        "invoices",
        count=300,
        backend="thread-pool",
        concurrency=4,
        batches=2,
        shared_sum="global",
        labels={"run": "nightly", "team": "billing"},
    )
    wait_until(lambda: client.job(job).progress["succeeded"] > 50)
    victim = next(each for each in client.workers() if each["batch"] == f"{job.id}/0")
    os.kill(victim["pid"], signal.SIGKILL)
    return client.wait(job, wait_s=300).id


def run_comparison(client: Client) -> str:
    compared = client.compare(
        "mixed",
        arms=ARMS,
        params={"seconds": 0.04, "iterations": 20_000},
        count=16,
        rounds=10,
        warmup=1,
    )
    return compared.id


def run_lesson(browser: Browser, url: str) -> str:
    """Run the lesson of the GIL by its button; the path of its page.

    Again where the machine was too busy for a lesson: the picture is to show one.
    """
    page = browser.new_page(base_url=url)
    for _ in range(LESSON_TRIES):
        page.goto("/lessons/gil")
        page.get_by_role("button", name="Run it").click()
        page.locator("[data-fragment=outcome] .chart").first.wait_for(timeout=400_000)
        if not page.get_by_text("No lesson from this run").count():
            return urlsplit(page.url).path
    sys.exit(f"no lesson in {LESSON_TRIES} runs: the machine is too busy")


def start_running(client: Client) -> str:
    """A job that is half done, and others that wait for it."""
    how = {"backend": "process-pool", "concurrency": 3, "batches": 2}
    labels = {"run": "nightly", "team": "billing"}
    job = client.submit("invoices", count=900, **how, shared_sum="global", labels=labels)
    client.submit("invoices", count=300, **how, labels={"run": "resend"})
    wait_until(lambda: client.job(job).progress["succeeded"] > 150)
    return job.id


def wait_until(reached: Callable[[], bool], within_s: float = 120) -> None:
    end = time.monotonic() + within_s
    while not reached():
        if time.monotonic() > end:
            sys.exit("the stack did not get there")
        time.sleep(0.1)


def next_failure(page: Page) -> None:
    page.locator("[data-part=lanes]").focus()
    for _ in range(3):
        page.keyboard.press("n")
        page.wait_for_timeout(300)
    page.evaluate("document.activeElement.blur()")
    page.evaluate("scrollTo(0, 0)")


def shoot(browser: Browser, url: str, name: str, path: str, prepare: Prepare | None = None) -> None:
    """One page in all looks, as WebP: chromium's own, so that no other library is needed."""
    for look, options in LOOKS.items():
        context = browser.new_context(base_url=url, reduced_motion="reduce", **options)
        page = context.new_page()
        page.goto(path)
        page.wait_for_timeout(1500)
        height = page.evaluate("document.documentElement.scrollHeight")
        page.set_viewport_size(options["viewport"] | {"height": min(height, TALLEST_PX)})
        if prepare:
            prepare(page)
        page.wait_for_timeout(500)
        (FOLDER / f"{name}-{look}.webp").write_bytes(picture(page))
        context.close()


def picture(page: Page) -> bytes:
    """What is in view, in the best quality that is small enough."""
    session = page.context.new_cdp_session(page)
    for quality in (92, 80, 65, 50):
        shot = session.send("Page.captureScreenshot", {"format": "webp", "quality": quality})
        content = base64.b64decode(shot["data"])
        if len(content) < MOST_BYTES:
            return content
    sys.exit(f"{page.url}: {len(content)} bytes at the least quality")


if __name__ == "__main__":
    main()
