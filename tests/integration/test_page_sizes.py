"""Pages stay fast however much the ledger holds; the goal is a second."""

import sys
import time
from typing import Any

import pytest

from batchpool.ledger.jobs import Jobs
from tests.integration.test_pages import HTML, check_page
from tests.support.waiting import check_time

GOAL_S = 1.0
pytestmark = [pytest.mark.full, pytest.mark.alone]


def timed(stage: Any, path: str) -> Any:
    stage.http.get("/", headers=HTML)  # Templates are compiled once.
    began = time.perf_counter()
    response = stage.http.get(path, headers=HTML)
    took = time.perf_counter() - began
    assert response.status_code == 200
    sys.stdout.write(f"{path}: {took:.3f} s, {len(response.data)} bytes\n")
    check_time(path, took, GOAL_S)
    return check_page(response.text)


def copy_job(stage: Any, job_id: str, count: int) -> None:
    """Write a job `count` times more, under ids of its own, as it is."""
    key = f"bp:job:{job_id}"
    hashes = {name: stage.redis.hgetall(f"{key}{name}") for name in ("", ":0")}
    for start in range(0, count, 5000):
        with stage.redis.pipeline(transaction=False) as pipe:
            for number in range(start, min(count, start + 5000)):
                for name, fields in hashes.items():
                    pipe.hset(f"bp:job:{number:024x}{name}", mapping=fields)
                pipe.zadd("bp:jobs", {f"bp:job:{number:024x}": 1_700_000_000_000 + number})
            pipe.execute()


def test_lists_of_100000_jobs(stage: Any) -> None:
    job = stage.post(task="echo", count=3, labels={"run": "nightly"})["id"]
    stage.run(job)
    waiting = stage.post(task="sleep", count=3)["id"]
    copy_job(stage, job, 100_000)
    page = timed(stage, "/")
    assert "All jobs (100 002)" in page.text
    assert waiting in str(page.elements)
    for query in ("", "?state=succeeded", "?since=24h", "?label=run%3Dnightly"):
        page = timed(stage, f"/jobs{query}")
        path: str | None = "/jobs?state=failed"
    while path:
        # Nothing matches, so all is looked at, in pieces.
        page = timed(stage, path)
        following = [each["href"] for each in page.all("a") if "cursor=" in (each["href"] or "")]
        path = following[0] if following else None
    assert "No job matches" in page.text


def test_a_job_of_a_million_items(stage: Any) -> None:
    job = stage.post(task="echo", count=1_000_000, batches=4)["id"]
    for batch in range(4):
        stage.run(job, batch, frozenset({654_321}))
    assert Jobs(stage.redis).state(job) == "failed"
    page = timed(stage, f"/jobs/{job}")
    assert "1 of 1 000 000 items failed. The other 999 999 are done." in page.text
    assert "499 998 845 679" in page.text
    page = timed(stage, f"/jobs/{job}?state=failed")
    assert f"/jobs/{job}?item=654321#record" in str(page.elements)
    page = timed(stage, f"/jobs/{job}?state=failed&item=654321")
    assert "Item 654 321failed" in page.text and "ValueErrornoTraceback" in page.text
