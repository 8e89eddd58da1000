"""Orders beyond what may wait are told to come back later, and nothing else suffers from them."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from batchpool.api.app import create_app
from batchpool.api.settings import ApiSettings
from batchpool.ledger import keys
from tests.support.waiting import check_time

MOST = 10


@pytest.fixture
def small(stage: Any) -> Any:
    """The stage, with an API that lets ten items wait."""
    stage.app = create_app(
        ApiSettings.from_env({"BATCHPOOL_MAX_QUEUED_ITEMS": str(MOST)}), stage.redis
    )
    return stage


def refused(response: Any) -> bool:
    if response.status_code == 202:
        return False
    assert response.status_code == 429, response.text
    assert response.content_type == "application/problem+json"
    assert int(response.headers["Retry-After"]) > 0
    assert "BATCHPOOL_MAX_QUEUED_ITEMS" in response.get_json()["detail"]
    return True


def test_beyond_the_limit_orders_are_429_until_items_are_taken(small: Any) -> None:
    first = small.post(task="echo", count=6, batches=2)
    assert not refused(small.http.post("/v1/jobs", json={"task": "echo", "count": 4}))
    before = small.redis.dbsize()
    assert refused(small.http.post("/v1/jobs", json={"task": "echo", "count": 1}))
    assert small.redis.dbsize() == before
    small.claim(first["id"])
    assert refused(small.http.post("/v1/jobs", json={"task": "echo", "count": 4}))
    assert not refused(small.http.post("/v1/jobs", json={"task": "echo", "count": 3}))


def test_jobs_of_one_request_count_together_and_none_is_stored_alone(small: Any) -> None:
    def post(*counts: int) -> Any:
        jobs = [{"task": "echo", "count": count} for count in counts]
        return small.http.post("/v1/jobs/bulk", json={"jobs": jobs})

    before = small.redis.dbsize()
    response = post(6, 5)
    assert refused(response) and "with these jobs, 11 items" in response.get_json()["detail"]
    assert small.redis.dbsize() == before
    assert post(6, 4).status_code == 207


def test_cancelled_jobs_make_room(small: Any) -> None:
    first = small.post(task="echo", count=MOST)
    assert refused(small.http.post("/v1/jobs", json={"task": "echo", "count": 1}))
    assert small.http.post(f"/v1/jobs/{first['id']}/cancel").status_code == 202
    assert not refused(small.http.post("/v1/jobs", json={"task": "echo", "count": MOST}))


def test_orders_in_parallel_never_go_beyond_the_limit(small: Any) -> None:
    def post(number: int) -> bool:
        return refused(small.http.post("/v1/jobs", json={"task": "echo", "count": 1}))

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(post, range(60)))
    assert answers.count(False) == MOST
    assert small.redis.zcard(keys.WAITING) == MOST


def test_a_job_that_could_never_wait_is_not_told_to_come_back(small: Any) -> None:
    problem = small.post(422, task="echo", count=MOST + 1)
    assert problem["errors"][0]["field"] == "count"


def test_a_replay_finds_its_job_though_nothing_more_may_wait(small: Any) -> None:
    order = {"json": {"task": "echo", "count": MOST}, "headers": {"Idempotency-Key": "k"}}
    first, again = (small.http.post("/v1/jobs", **order) for _ in range(2))
    assert first.status_code == again.status_code == 202
    assert first.headers["Location"] == again.headers["Location"]


def test_a_retry_is_held_to_the_limit_too(small: Any) -> None:
    job = small.post(task="echo", count=2)
    small.run(job["id"], fail=frozenset([0, 1]))
    small.post(task="echo", count=MOST - 1)
    assert refused(small.http.post(f"/v1/jobs/{job['id']}/retry"))


def test_while_orders_are_refused_other_requests_are_answered(small: Any) -> None:
    job = small.post(task="echo", count=MOST)

    def flood(number: int) -> bool:
        return all(
            refused(small.http.post("/v1/jobs", json={"task": "echo", "count": 9}))
            for _ in range(50)
        )

    slowest = 0.0
    with ThreadPoolExecutor(8) as pool:
        floods = [pool.submit(flood, number) for number in range(8)]
        while not all(flood.done() for flood in floods):
            for path in ("/healthz", f"/v1/jobs/{job['id']}", "/v1/jobs"):
                began = time.monotonic()
                assert small.http.get(path).status_code == 200
                slowest = max(slowest, time.monotonic() - began)
        assert all(flood.result() for flood in floods)
    check_time("the slowest answer", slowest, 1)


def test_a_retry_of_many_ends_where_the_queue_is_full(small: Any) -> None:
    for _ in range(3):
        small.run(small.post(task="echo", count=4)["id"], fail=frozenset(range(4)))
    path = "/v1/jobs/retry?task=echo"
    assert small.http.post(path).get_json() == {"taken": 2, "refused": 0, "more": True}
    assert refused(small.http.post(path))
