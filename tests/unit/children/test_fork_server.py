"""A fork server that a signal has stopped goes on when it is needed."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from batchpool.children.start_methods import start_fork_server, stop_helpers
from batchpool.system.cpython_internals import fork_server_pid
from batchpool.system.process_tree import is_alive, is_stopped
from batchpool.tasks.sources import TaskSources
from tests.support.waiting import wait_until


@pytest.fixture
def stopped(tmp_path: Path) -> Iterator[int]:
    start_fork_server(TaskSources(), tmp_path)
    pid = fork_server_pid()
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: is_stopped(pid), 5, "it is stopped")
    try:
        yield pid
    finally:
        if is_alive(pid):
            os.kill(pid, signal.SIGCONT)
        stop_helpers(tracker_too=True)


def test_the_next_start_continues_it(stopped: int, tmp_path: Path) -> None:
    start_fork_server(TaskSources(), tmp_path)
    assert fork_server_pid() == stopped
    wait_until(lambda: not is_stopped(stopped), 5, "it goes on")


@pytest.mark.timeout(20)
def test_its_end_is_not_waited_for_in_vain(stopped: int) -> None:
    stop_helpers(tracker_too=True)
    assert not is_alive(stopped)
