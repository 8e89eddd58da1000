"""Futures of an executor while the API and workers are SIGKILLed: each has its value, once."""

import random

import pytest

from batchpool.client import Client
from tests.faults.apis import RestartedApi
from tests.support.stack_processes import StackProcesses

ROUNDS, CALLS = 15, 100
LABELS = {"test": "kills"}


@pytest.mark.full
def test_each_call_is_sent_once_and_answered_over_kills_of_api_and_worker(
    crew: StackProcesses, seed: int
) -> None:
    crew.start("batchpool.reconciler")
    workers = crew.start_workers(2)
    api = RestartedApi(crew)
    chance = random.Random(seed)

    def kill_worker() -> None:
        victim = workers.pop(chance.randrange(len(workers)))
        victim.kill()
        victim.wait(5)
        crew.members.remove(victim)
        workers.extend(crew.start_workers(1))

    kills = dict(zip(chance.sample(range(ROUNDS), 4), [api.kill, kill_worker] * 2, strict=True))
    with (
        Client(api.url, retry_for_s=60) as client,
        client.executor("sleep", labels=LABELS, params={"seconds": 0.01}, batches=2) as executor,
    ):
        futures = []
        for number in range(ROUNDS):
            first = number * CALLS
            futures += [executor.submit("sleep", first + item) for item in range(CALLS)]
            if number in kills:
                futures[chance.randrange(first, first + CALLS)].result(120)
                kills[number]()
        assert [future.result(120) for future in futures] == [*range(ROUNDS * CALLS)]
        jobs = [client.job(job) for job in client.jobs(label="test=kills")]
        assert sum(job.progress["succeeded"] for job in jobs) == ROUNDS * CALLS
        assert sum(job.sum or 0 for job in jobs) == sum(range(ROUNDS * CALLS))
