"""The clock of Redis is set while jobs run and wait: none ends early, none is run twice."""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from batchpool.api.app import create_app
from batchpool.api.settings import ApiSettings
from batchpool.ledger.connection import connect
from batchpool.ledger.reconciler_presence import idle_reconcilers
from tests.integration.conftest import Stage, start_valkey, wait_until_answering
from tests.support.sampling import full
from tests.support.stack_processes import StackProcesses
from tests.support.waiting import wait_until

LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))


class SetClock(NamedTuple):
    """A crew over a Redis whose clock a test sets."""

    crew: StackProcesses
    file: Path

    def move(self, seconds: int) -> None:
        before = self.crew.redis.time()[0] - time.time()
        self.file.write_text(f"{seconds:+d}\n")

        def moved() -> bool:
            return abs(self.crew.redis.time()[0] - time.time() - before) > 3000

        wait_until(moved, 3, "the clock of Redis was set")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[SetClock]:
    if not LIBRARIES:
        pytest.skip("libfaketime is missing: apt-get install faketime")
    with tempfile.TemporaryDirectory(prefix="bp-") as name:
        file = Path(name) / "clock"
        file.write_text("+0\n")
        faked = {
            "LD_PRELOAD": str(LIBRARIES[0]),
            "FAKETIME_TIMESTAMP_FILE": str(file),
            "FAKETIME_NO_CACHE": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }
        env = shutil.which("env")
        assert env
        wrapper = [env, *(f"{key}={value}" for key, value in faked.items())]
        server = start_valkey(Path(name), wrapper=wrapper)
        url = f"unix://{name}/redis.sock"
        try:
            with connect(url) as redis:
                wait_until_answering(redis)
                app = create_app(ApiSettings.from_env(os.environ), redis)
                with StackProcesses(url, redis, Stage(redis, app)) as crew:
                    yield SetClock(crew, file)
        finally:
            # Told to end, one whose clock was set back did not within 10 s.
            server.kill()
            server.wait(10)


@pytest.mark.full
@pytest.mark.parametrize("seconds", [3600, *full(-3600)])
def test_a_step_of_the_clock_moves_all_deadlines(clock: SetClock, seconds: int) -> None:
    crew = clock.crew
    crew.start_workers(1)
    crew.start("batchpool.reconciler")
    wait_until(lambda: idle_reconcilers(crew.redis), 20, "a reconciler is connected")
    running = crew.stage.post(
        task="sleep", params={"seconds": 8}, count=1, backend="thread-pool", timeout_s=60
    )
    waiting = crew.stage.post(
        task="sleep", params={"seconds": 0}, count=1, timeout_s=60, queue_timeout_s=60
    )
    crew.wait_running(running["id"])
    time.sleep(1.5)
    clock.move(seconds)
    for job in (running, waiting):
        ended = crew.finish(job["id"], 30)
        assert ended["state"] == "succeeded", ended["error"]
        assert [len(batch["epochs"]) for batch in ended["batches"]] == [1]
    assert wait_until(lambda: crew.redis.zcard("bp:leases") == 0, 5, "no lease is left")


@pytest.mark.parametrize("seconds", [-3600, *full(3600)])
def test_a_limit_still_holds_after_a_step(clock: SetClock, seconds: int) -> None:
    crew = clock.crew
    crew.start_workers(1)
    crew.start("batchpool.reconciler")
    wait_until(lambda: idle_reconcilers(crew.redis), 20, "a reconciler is connected")
    order: dict[str, Any] = {"task": "sleep", "params": {"seconds": 60}, "count": 1}
    job = crew.stage.post(**order, backend="thread-pool", timeout_s=8)
    waiting = crew.stage.post(**order, queue_timeout_s=6)
    crew.wait_running(job["id"])
    time.sleep(1.5)
    clock.move(seconds)
    for each in (waiting, job):
        assert crew.finish(each["id"], 4)["batches"][0]["state"] == "failed"
