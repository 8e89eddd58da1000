"""A process of `batchpool up` that is alive and does not work is replaced."""

import os
import signal

import pytest

from batchpool.client import Client
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
        assert stack.restarts == len(names)
