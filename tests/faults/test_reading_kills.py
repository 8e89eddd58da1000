"""Values and followed records, read while the API and a worker are SIGKILLed: whole, none twice."""

import random
import signal
from collections import Counter
from collections.abc import Callable
from itertools import islice

import pytest

from batchpool.client import Client, reading
from batchpool.client.reading import Missing
from batchpool.ledger.ownership import Ending, Ownership, make_block
from batchpool.ledger.values.job_entries import Tally
from batchpool.model import ExecutionSite, Outcome, TaskError
from tests.faults.apis import RestartedApi
from tests.support.sampling import full
from tests.support.stack_processes import StackProcesses

SECONDS, CONCURRENCY = 0.01, 2
TEXT, VALUES, PER_BLOCK = "x" * 1000, 40_000, 4000
IN_FLIGHT = 16_000
"""Values that the kernel may have taken from the API, and the client not read yet."""


@pytest.mark.parametrize(("items", "api_kills"), [(1200, 1), *full((8000, 6))])
def test_followed_records_come_once_each_over_kills_of_api_and_worker(
    crew: StackProcesses, seed: int, items: int, api_kills: int
) -> None:
    crew.start("batchpool.reconciler")
    workers = {worker.pid: worker for worker in crew.start_workers(2)}
    api = RestartedApi(crew)
    job_id = crew.stage.post(
        task="sleep",
        params={"seconds": SECONDS},
        count=items,
        batches=2,
        backend="thread-pool",
        concurrency=CONCURRENCY,
    )["id"]

    def kill_worker() -> None:
        batches = crew.stage.get(f"/v1/jobs/{job_id}")["batches"]
        running = [batch for batch in batches if batch["state"] == "running"]
        victim = workers[chance.choice(running)["epochs"][0]["ppid"]]
        victim.kill()
        assert victim.wait(5) == -signal.SIGKILL
        crew.members.remove(victim)
        crew.start_workers(1)

    chance = random.Random(seed)
    # The worker first: a new API takes longer than the job.
    first = chance.randrange(1, items // 4)
    later = chance.sample(range(first + 1, items), api_kills)
    kills: dict[int, Callable[[], None]] = {first: kill_worker, **dict.fromkeys(later, api.kill)}
    indices: Counter[int] = Counter()
    with Client(api.url) as client:
        for read, record in enumerate(client.stream(job_id), 1):
            indices[record["index"]] += 1
            if read in kills:
                kills.pop(read)()
    assert not kills
    assert indices == Counter(range(items))
    job = crew.finish(job_id)
    assert job["state"] == "succeeded" and job["sum"] == sum(range(items))
    assert sorted(len(batch["epochs"]) for batch in job["batches"]) == [1, 2]


@pytest.mark.full
@pytest.mark.parametrize("missing", ["skip", *full("fail")])
@pytest.mark.parametrize("kills", [1, *full(5)])
def test_values_are_whole_over_kills_of_the_api(
    crew: StackProcesses, seed: int, kills: int, missing: Missing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "_PART", PER_BLOCK - 1)
    crew.stage.announce(crew.stage.capabilities(), crew.stage.worker_document())
    job_id = crew.stage.post(task="echo", count=VALUES)["id"]
    failed = 3 if missing == "skip" else 0
    write_values(crew, job_id, failed)
    api = RestartedApi(crew)
    # Most is on the way at once: behind the last kill there must be more than what may be.
    last = VALUES - IN_FLIGHT
    at = sorted(random.Random(seed).sample(range(1, last), kills))
    with Client(api.url) as client:
        values = client.values(job_id, missing=missing)
        found = []
        for start, end in zip([0, *at], at, strict=False):
            found += islice(values, end - start)
            api.kill()
        found += values
    assert found == [TEXT + str(index) for index in range(VALUES) if index % PER_BLOCK >= failed]


def write_values(crew: StackProcesses, job_id: str, failed: int = 0) -> None:
    """End a job of one batch; in each block the first items failed.

    The values of the others do not fit into buffers together.
    """
    error: TaskError = {"type": "ValueError", "message": "", "traceback": None}
    claim, ledger = crew.stage.claim(job_id), Ownership(crew.redis)
    site = ExecutionSite(2, 1, 3, "MainThread", 0)
    for number, first in enumerate(range(0, VALUES, PER_BLOCK), 1):
        made = [
            Outcome(index, "failed", None, error, site, 0, 1, 1)
            if index % PER_BLOCK < failed
            else Outcome(index, "succeeded", TEXT + str(index), None, site, 0, 1, 1)
            for index in range(first, first + PER_BLOCK)
        ]
        ending = (
            Ending("failed" if failed else "succeeded", {}) if first + PER_BLOCK == VALUES else None
        )
        counts = {"succeeded": number * (PER_BLOCK - failed), "failed": number * failed}
        tally = Tally(counts)
        assert ledger.flush(claim, make_block(claim, number, made, 0), tally, ending) == "ok"
