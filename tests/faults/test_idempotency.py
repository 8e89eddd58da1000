"""P11: one Idempotency-Key is one job, however often and however much at once it is sent."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import httpx
import pytest

from batchpool.ledger import keys
from tests.faults.apis import start_api
from tests.support.sampling import full
from tests.support.stack_processes import StackProcesses

TIMES = 100
ORDER = {"task": "echo", "items": [1, 2.5, 39], "batches": 2}


@pytest.mark.parametrize("apis", [2, *full(1)])
def test_one_key_a_hundred_times_at_once_is_one_job(crew: StackProcesses, apis: int) -> None:
    crew.start_workers(1)
    urls = [start_api(crew) for _ in range(apis)]
    limits = httpx.Limits(max_connections=TIMES, max_keepalive_connections=TIMES)
    at_once = Barrier(TIMES)

    with httpx.Client(limits=limits, timeout=30) as http:

        def send(number: int) -> Any:
            at_once.wait(20)
            headers = {"Idempotency-Key": "once"}
            return http.post(urls[number % apis] + "/v1/jobs", json=ORDER, headers=headers)

        with ThreadPoolExecutor(TIMES) as pool:
            answers = list(pool.map(send, range(TIMES)))
        assert {answer.status_code for answer in answers} == {202}
        (place,) = {answer.headers["Location"] for answer in answers}
        assert {answer.json()["id"] for answer in answers} == {place.rpartition("/")[2]}
        other = http.post(
            urls[0] + "/v1/jobs",
            json=ORDER | {"items": [1, 2.5, 40]},
            headers={"Idempotency-Key": "once"},
        )
    assert other.status_code == 409
    assert other.headers["Content-Type"] == "application/problem+json"
    assert crew.redis.zcard(keys.JOBS) == 1
    job = crew.finish(place.rpartition("/")[2])
    assert (job["state"], job["sum"]) == ("succeeded", 42.5)
    assert [len(batch["epochs"]) for batch in job["batches"]] == [1, 1]
