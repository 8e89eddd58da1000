"""A browser over one real stack: Redis, API, reconciler and two workers, all shared by the tests.

A page fails its test if it logs an error, breaks the Content-Security-Policy, or asks another host.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Error, Page, sync_playwright

from batchpool.api.app import create_app
from batchpool.api.settings import ApiSettings
from tests.faults.apis import start_api
from tests.faults.servers import Server
from tests.integration.conftest import Stage
from tests.support.stack_processes import StackProcesses

LEASE_S = 2.0
AXE = Path(__file__).parent / "node_modules/axe-core/axe.min.js"
DESKTOP = {"width": 1280, "height": 900}
NETWORK_CHANGED = "net::ERR_NETWORK_CHANGED"
"""What chromium makes of a request while a container is started or ended beside it."""
PHONE = {"width": 390, "height": 844}


def _missing(what: str) -> None:
    """Skip with a reason; in CI nothing may be missing."""
    if os.environ.get("CI"):
        pytest.fail(f"missing in CI: {what}")
    pytest.skip(what)


@pytest.fixture(scope="package")
def stack() -> Iterator[StackProcesses]:
    """All processes of a stack, which tests of runners in this process would end as leftovers."""
    settings = {"BATCHPOOL_LEASE_S": str(LEASE_S)}
    with ExitStack() as parts:
        server = parts.enter_context(Server())
        redis = parts.enter_context(server.client())
        app = create_app(ApiSettings.from_env(settings), redis)
        app.testing = False
        crew = StackProcesses(server.url, redis, Stage(redis, app), settings)
        made = parts.enter_context(crew)
        made.start("batchpool.reconciler")
        made.start_workers(2)
        yield made


@pytest.fixture(scope="package")
def base_url(stack: StackProcesses) -> str:
    return start_api(stack)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Debian's chromium, or whatever is called so.

    Not for longer than these tests: while playwright runs, none of asyncio can in this process.
    """
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        _missing("chromium is not on PATH; on Debian: apt install chromium")
    with sync_playwright() as playwright:
        # No sandbox: it needs rights that a container does not give, and the pages are ours.
        yield playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])


OpenPage = Callable[..., Page]


@pytest.fixture
def open_page(browser: Browser, base_url: str) -> Iterator[OpenPage]:
    """Open `path` in a context of its own; see the module for what fails the test."""
    faults: list[str] = []
    own_host = urlsplit(base_url).netloc
    with ExitStack() as contexts:

        def open_(
            path: str, *, expected: int = 200, expected_error: str = "", **options: Any
        ) -> Page:
            context = browser.new_context(
                base_url=base_url, **{"viewport": DESKTOP, "reduced_motion": "reduce"} | options
            )
            contexts.callback(context.close)
            page = context.new_page()
            page.set_default_timeout(10_000)

            def asked(url: str) -> None:
                if urlsplit(url).netloc != own_host and not url.startswith(("data:", "blob:")):
                    faults.append(f"asked another host: {url}")

            def logged(kind: str, text: str) -> None:
                # Chromium logs the status of the page itself, too.
                known = expected_error or f"the server responded with a status of {expected}"
                if kind == "error" and known not in text and NETWORK_CHANGED not in text:
                    faults.append(f"logged: {text}")

            page.on("request", lambda request: asked(request.url))
            page.on("console", lambda message: logged(message.type, message.text))
            page.on("pageerror", lambda error: faults.append(f"threw: {error}"))
            try:
                response = page.goto(path)
            except Error as error:
                if NETWORK_CHANGED not in error.message:
                    raise
                response = page.goto(path)
            assert response is not None and response.status == expected, path
            policy = response.headers["content-security-policy"]
            assert policy.startswith("default-src 'self'") and "unsafe" not in policy, policy
            return page

        yield open_
    assert faults == []


@pytest.fixture
def axe() -> Callable[..., list[str]]:
    """What axe finds on a page that is serious or critical, by all rules or only these."""
    if not AXE.exists():
        _missing("axe-core is not here: make lint-js")
    source = AXE.read_text()

    def run(page: Page, *rules: str) -> list[str]:
        page.evaluate(source)
        options: dict[str, Any] = {"resultTypes": ["violations"]}
        if rules:
            options["runOnly"] = list(rules)
        found = page.evaluate("options => axe.run(document, options)", options)["violations"]
        return [
            f"{each['id']}: {node['target']} {node['failureSummary']}"
            for each in found
            if each["impact"] in ("serious", "critical")
            for node in each["nodes"]
        ]

    return run
