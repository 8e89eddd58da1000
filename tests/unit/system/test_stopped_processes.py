"""A process counts as stopped after some looks in a row, however long they take."""

import os
import signal
import subprocess
from collections.abc import Iterator

import pytest

from batchpool.system.process_tree import is_stopped
from batchpool.system.stopped_processes import LOOK_EVERY_S, LOOKS, StoppedProcesses
from tests.support.waiting import wait_until


@pytest.fixture
def stopped() -> Iterator[int]:
    with subprocess.Popen(["sleep", "60"]) as process:
        process.send_signal(signal.SIGSTOP)
        wait_until(lambda: is_stopped(process.pid), 5, "it is stopped")
        try:
            yield process.pid
        finally:
            process.kill()


class Looks:
    """Looks at one process, at times of its own."""

    def __init__(self, pid: int) -> None:
        self.now_s = 1.0
        self._pid = pid
        self._processes = StoppedProcesses(lambda: self.now_s)

    def look(self, after_s: float = LOOK_EVERY_S) -> list[int]:
        self.now_s += after_s
        return self._processes.find(lambda: [self._pid, os.getpid()])


def test_a_process_is_found_at_the_last_of_some_looks_in_a_row(stopped: int) -> None:
    looks = Looks(stopped)
    assert [looks.look() for _ in range(LOOKS)] == [[]] * (LOOKS - 1) + [[stopped]]


def test_neither_long_pauses_nor_quick_calls_are_taken_for_looks(stopped: int) -> None:
    looks = Looks(stopped)
    assert not any([looks.look(after_s=3600), looks.look(after_s=3600)])
    assert not any(looks.look(after_s=0) for _ in range(LOOKS))


def test_looks_before_it_went_on_do_not_count(stopped: int) -> None:
    looks = Looks(stopped)
    for _ in range(LOOKS - 1):
        looks.look()
    os.kill(stopped, signal.SIGCONT)
    wait_until(lambda: not is_stopped(stopped), 5, "it goes on")
    assert looks.look() == []
    os.kill(stopped, signal.SIGSTOP)
    wait_until(lambda: is_stopped(stopped), 5, "it is stopped again")
    assert looks.look() == []
