"""The list of jobs at some length: complete under every filter, in few round trips."""

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask

from batchpool.ledger.connection import connect
from tests.integration.conftest import capabilities, own_valkey, stage_over, worker_document

JOBS = 450
"""More than are looked at in one go."""


@pytest.fixture(scope="module")
def stage(app: Flask) -> Iterator[Any]:
    """One database for all tests of this module, which only read."""
    with own_valkey() as url, connect(url) as redis:
        made = stage_over(app, redis)
        made.announce(capabilities(), worker_document())
        yield made


@pytest.fixture(scope="module")
def many(stage: Any) -> list[str]:
    """Ids of jobs of two tasks in blocks of uneven length, every 9th cancelled."""
    ids = []
    for number in range(JOBS):
        task = "cpu" if number % 7 < 3 else "echo"
        labels = {"third": str(number % 3), "odd=": "a=b"} if number % 2 else {}
        ids.append(stage.post(task=task, count=1, labels=labels)["id"])
        if number % 9 == 0:
            stage.http.post(f"/v1/jobs/{ids[-1]}/cancel")
    return ids


def pages(stage: Any, query: str) -> list[list[dict[str, Any]]]:
    found, cursor = [], ""
    while True:
        page = stage.get(f"/v1/jobs?{query}{cursor}")
        found.append(page["jobs"])
        if page["next"] is None:
            return found
        cursor = f"&cursor={page['next']}"


FILTERS = {
    "": lambda number: True,
    "task=cpu&": lambda number: number % 7 < 3,
    "state=cancelled&": lambda number: number % 9 == 0,
    "state=queued&task=echo&": lambda number: number % 9 and number % 7 >= 3,
    "state=running&": lambda number: False,
    "label=third%3D1&": lambda number: number % 2 and number % 3 == 1,
    "label=third%3D1&task=cpu&": lambda n: n % 2 and n % 3 == 1 and n % 7 < 3,
    "label=odd%3D%3Da%3Db&": lambda number: False,
}


def test_each_job_that_a_filter_wants_is_listed_once(stage: Any, many: list[str]) -> None:
    for query, wants in FILTERS.items():
        wanted = [job_id for number, job_id in enumerate(many) if wants(number)]
        for limit in (7, 40, 500):
            found = pages(stage, f"{query}limit={limit}")
            listed = [job["id"] for page in found for job in page]
            assert len(listed) == len(set(listed))
            assert set(listed) == set(wanted), query
            assert all(len(page) == limit for page in found[:-1])


def test_jobs_are_listed_from_a_time_on(stage: Any, many: list[str]) -> None:
    newest_first = [job for page in pages(stage, "limit=500") for job in page]
    since = newest_first[200]["timing"]["submitted_at"]
    wanted = [job["id"] for job in newest_first if job["timing"]["submitted_at"] >= since]
    assert 200 < len(wanted) < JOBS
    found = pages(stage, f"submitted_after={since}&limit=150")
    assert [job["id"] for page in found for job in page] == wanted
    assert pages(stage, "submitted_after=2100-01-01T00:00:00%2B01:00") == [[]]


def test_a_page_costs_few_reads_however_many_jobs_are_on_it(stage: Any, many: list[str]) -> None:
    for query in ("limit=200", "limit=10&task=cpu"):
        stage.redis.config_resetstat()
        assert stage.get(f"/v1/jobs?{query}")["jobs"]
        stats = stage.redis.info("commandstats")
        assert stats["cmdstat_evalsha"]["calls"] == 1
        assert stats["cmdstat_zrevrange"]["calls"] == 1
