"""A process of `batchpool up` that is alive and does not work is replaced."""

import os
import signal

import pytest

from batchpool.client import Client
from batchpool.stack.local_stack import LocalStack, StackOptions
from batchpool.system.process_tree import descendants
from tests.support.waiting import wait_until


@pytest.mark.parametrize("name", ["worker-1", "reconciler", "api"])
def test_a_stopped_process_is_replaced_and_jobs_run_on(name: str) -> None:
    options = StackOptions(workers=1, temporary=True, prefer_own_redis=True, wedged_after_s=4)
    with LocalStack(options) as stack:
        stopped = stack.pids()[name]
        # The API's own children too: they would go on to answer.
        for pid in (stopped, *(descendants(stopped) if name == "api" else ())):
            os.kill(pid, signal.SIGSTOP)
        wait_until(lambda: stack.pids().get(name, stopped) != stopped, 40, f"{name} is replaced")
        with Client(stack.url, retry_for_s=30) as client:
            job = client.run("echo", count=5, wait_s=60)
        assert (job.state, job.sum) == ("succeeded", 10)
        assert stack.restarts == 1


def test_processes_that_work_are_left_alone() -> None:
    options = StackOptions(workers=1, temporary=True, prefer_own_redis=True, wedged_after_s=2)
    with LocalStack(options) as stack:
        with Client(stack.url) as client:
            job = client.run("sleep", count=1, params={"seconds": 6}, wait_s=60)
        assert job.state == "succeeded"
        assert stack.restarts == 0
