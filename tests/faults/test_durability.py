"""P1: what was accepted is there after Redis is killed and all that it did not sync is dropped."""

import os
import shutil
from collections.abc import Callable

import pytest

from batchpool.ledger.jobs import Jobs
from tests.faults.servers import Server, synced_bytes
from tests.integration.conftest import capabilities, worker_document
from tests.support.sampling import full
from tests.support.stack_processes import StackProcesses


def accepted_jobs_lost(make_crew: Callable[..., StackProcesses], rounds: int, *options: str) -> int:
    """Rounds of: accept a job, kill Redis, drop what it did not sync, start it again, look."""
    lost = 0
    for _ in range(rounds):
        with Server(*options, traced=True) as server:
            crew = make_crew(server)
            crew.stage.announce(capabilities(), worker_document())
            job_id = crew.stage.post(task="echo", items=["x" * 100] * 20, batches=3)["id"]
            server.kill()
            server.cut_back()
            server.start()
            with server.client() as client:
                job = Jobs(client).load(job_id)
                lost += job is None
                waiting = client.zcard("bp:waiting")
                assert job is None or (waiting == 3 and Jobs(client).items(job_id, 0, 20))
    return lost


@pytest.fixture
def strace() -> None:
    if shutil.which("strace") is None:
        # In CI a missing part is a failure.
        tell = pytest.fail if os.environ.get("CI") else pytest.skip
        tell("strace is missing: apt-get install strace")


@pytest.mark.usefixtures("strace")
@pytest.mark.parametrize("rounds", [3, *full(20)])
def test_no_accepted_job_is_lost_when_redis_dies_and_its_unsynced_data_is_gone(
    make_crew: Callable[..., StackProcesses], rounds: int
) -> None:
    assert accepted_jobs_lost(make_crew, rounds) == 0


@pytest.mark.usefixtures("strace")
def test_the_same_on_everysec_loses_jobs_so_the_test_above_can_fail(
    make_crew: Callable[..., StackProcesses],
) -> None:
    assert accepted_jobs_lost(make_crew, 3, "--appendfsync", "everysec") > 0


def test_a_sync_covers_what_was_written_before_it_began() -> None:
    log = """\
7 write(8</d/a.incr.aof>, ""..., 100) = 100
9 fdatasync(8</d/a.incr.aof> <unfinished ...>
7 write(8</d/a.incr.aof>, ""..., 50) = 50
9 <... fdatasync resumed>) = 0
7 write(5</d/other>, ""..., 9) = 9
7 fdatasync(8</d/a.incr.aof> <unfinished ...>
"""
    assert synced_bytes(log, "a.incr.aof") == 100
