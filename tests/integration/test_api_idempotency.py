"""Idempotency-Key: requests with one key are one order, for one caller and one endpoint."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest


def test_the_same_key_a_hundred_times_at_once_is_one_job(stage: Any) -> None:
    def send(_: int) -> tuple[int, str]:
        headers = {"Idempotency-Key": "once"}
        response = stage.http.post("/v1/jobs", json={"task": "echo", "count": 3}, headers=headers)
        return response.status_code, response.headers["Location"]

    with ThreadPoolExecutor(16) as pool:
        answers = set(pool.map(send, range(100)))
    assert len(answers) == 1
    assert answers.pop()[0] == 202
    assert stage.redis.zcard("bp:jobs") == 1
    assert stage.redis.llen("rq:queue:batchpool:c311") == 1


@pytest.mark.parametrize(
    ("change", "status"),
    [({}, 202), ({"count": 3.0}, 202), ({"retries": 0}, 202), ({"count": 4}, 409)],
)
def test_a_used_key_takes_the_same_order_and_no_other(
    stage: Any, change: dict[str, Any], status: int
) -> None:
    order, headers = {"task": "echo", "count": 3}, {"Idempotency-Key": "k"}
    first = stage.http.post("/v1/jobs", json=order, headers=headers)
    again = stage.http.post("/v1/jobs", json=order | change, headers=headers)
    assert again.status_code == status
    if status == 202:
        assert again.headers["Location"] == first.headers["Location"]


def test_keys_of_different_callers_are_different_keys(stage: Any) -> None:
    places = {
        stage.http.post(
            "/v1/jobs",
            json={"task": "echo", "count": 1},
            headers={"Idempotency-Key": "k", "Authorization": f"Bearer {caller}"},
        ).headers["Location"]
        for caller in ("a", "b")
    }
    assert len(places) == 2


def test_a_replay_is_accepted_even_when_the_workers_have_changed(stage: Any) -> None:
    order, headers = {"task": "echo", "count": 3}, {"Idempotency-Key": "k"}
    first = stage.http.post("/v1/jobs", json=order, headers=headers)
    stage.announce(stage.capabilities(), stage.worker_document(cpus=16))
    again = stage.http.post("/v1/jobs", json=order, headers=headers)
    assert again.headers["Location"] == first.headers["Location"]


@pytest.mark.parametrize("key", ["", "x" * 256, "k\u00e9y"])
def test_a_key_that_is_no_key_is_refused(stage: Any, key: str) -> None:
    response = stage.http.post(
        "/v1/jobs", json={"task": "echo", "count": 1}, headers={"Idempotency-Key": key}
    )
    assert response.status_code == 422
    assert response.get_json()["errors"][0]["field"] == "Idempotency-Key"


def test_a_retry_with_a_key_is_one_job_however_often_it_is_sent(stage: Any) -> None:
    job = stage.post(task="echo", count=2)
    stage.run(job["id"], fail=frozenset([1]))
    path, key = f"/v1/jobs/{job['id']}/retry", {"Idempotency-Key": "k"}
    places = {stage.http.post(path, headers=key).headers["Location"] for _ in range(3)}
    assert len(places) == 1
    assert stage.http.post(path).headers["Location"] not in places
