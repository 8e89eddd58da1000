"""A process of `batchpool up` that is alive and does not work is replaced."""

import os
import signal
import time

import pytest

from batchpool.client import Client
from batchpool.ledger import keys
from batchpool.ledger.connection import connect
from batchpool.ledger.presence import Presence
from batchpool.stack.local_stack import LocalStack, StackOptions
from batchpool.system.process_tree import descendants
from tests.support.sampling import full
from tests.support.waiting import wait_until


@pytest.mark.parametrize(
    "names",
    [["worker-1", "reconciler", "api"], *full(["worker-1"], ["reconciler"], ["api"])],
    ids="+".join,
)
def test_stopped_processes_are_replaced_and_no_others_and_jobs_run_on(names: list[str]) -> None:
    options = StackOptions(workers=1, temporary=True, prefer_own_redis=True, wedged_after_s=4)
    with LocalStack(options) as stack, Client(stack.url, retry_for_s=30) as client:
        # While a task runs for longer than that, all of them work.
        assert client.run("sleep", count=1, params={"seconds": 6}, wait_s=60).state == "succeeded"
        assert stack.restarts == 0
        before = stack.pids()
        for name in names:
            # The API's own children too: they would go on to answer.
            children = descendants(before[name]) if name == "api" else ()
            for pid in (before[name], *children):
                os.kill(pid, signal.SIGSTOP)

        def replaced() -> bool:
            now = stack.pids()
            return all(now.get(name, before[name]) != before[name] for name in names)

        wait_until(replaced, 40, f"{names} are replaced")
        job = client.run("echo", count=5, wait_s=60)
        assert (job.state, job.sum) == ("succeeded", 10)
        # One that takes 4 s to start, on a machine that is busy, is replaced once more.
        assert stack.restarts >= len(names)
        others = before.keys() - set(names)
        now = stack.pids()
        assert {name: now[name] for name in others} == {name: before[name] for name in others}


def test_a_full_redis_makes_nobody_look_wedged() -> None:
    options = StackOptions(workers=1, temporary=True, prefer_own_redis=True, wedged_after_s=6)
    with LocalStack(options) as stack, connect(stack.redis_url) as redis:
        presence = Presence(redis)
        wait_until(lambda: bool(presence.workers()))
        redis.config_set("maxmemory", "1mb")
        (worker,) = presence.workers()
        # As if it had been full for as long as an announcement lives.
        redis.delete(keys.WORKER + worker.name)
        # The time is what is tested: the watchdog takes 6 s, and an idle worker waits for 5.
        time.sleep(8)
        assert stack.restarts == 0 and presence.workers() == []
        redis.config_set("maxmemory", 0)
        wait_until(lambda: bool(presence.workers()), 10)
        assert stack.restarts == 0
