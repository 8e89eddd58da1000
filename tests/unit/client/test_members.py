"""Members are started again when they die, and leave nothing behind."""

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator

import pytest

from batchpool.stack.managed_process import LAUNCHER, ProcessSpec
from batchpool.stack.process_group import (
    STACK_ID_VARIABLE,
    ProcessGroup,
    end_leftovers,
    marked_processes,
)
from batchpool.system.process_tree import is_alive
from tests.support.waiting import check_time, wait_until

SLEEPER = (sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)")


class Stage:
    def __init__(self) -> None:
        self.id = uuid.uuid4().hex
        self.lines: list[tuple[str, str]] = []
        self.crew = ProcessGroup(self.id, lambda name, line: self.lines.append((name, line)))

    def spec(self, name: str, *command: str, grace_s: float = 5.0) -> ProcessSpec:
        return ProcessSpec(
            name, command, {**os.environ, STACK_ID_VARIABLE: self.id}, grace_s=grace_s
        )

    def end(self) -> None:
        self.crew.end(last="", hurry=lambda: False)


@pytest.fixture
def stage() -> Iterator[Stage]:
    stage = Stage()
    yield stage
    stage.end()
    assert not marked_processes(stage.id)


def test_a_member_logs_under_its_name(stage: Stage) -> None:
    stage.crew.start(stage.spec("one", *SLEEPER))
    wait_until(lambda: ("one", "up") in stage.lines)


def test_a_killed_member_is_started_again_and_it_is_said(stage: Stage) -> None:
    stage.crew.start(stage.spec("one", *SLEEPER))
    wait_until(lambda: stage.lines)
    first = stage.crew.pids()["one"]
    os.kill(first, signal.SIGKILL)

    def again() -> bool:
        stage.crew.restart_dead()
        return stage.crew.pids().get("one") not in (None, first)

    wait_until(again)
    assert stage.crew.restarts == 1
    assert ("stack", "one was killed by SIGKILL; starts again in 0.5 s") in stage.lines


def test_the_pause_before_a_restart_grows(stage: Stage) -> None:
    stage.crew.start(stage.spec("broken", sys.executable, "-c", "raise SystemExit(3)"))

    def three_times() -> bool:
        stage.crew.restart_dead()
        return stage.crew.restarts >= 2 and "broken" not in stage.crew.pids()

    wait_until(three_times)
    said = [line for name, line in stage.lines if name == "stack" and "ended with code 3" in line]
    assert [line.rpartition("in ")[2] for line in said[:3]] == ["0.5 s", "1 s", "2 s"]


def test_a_member_that_ignores_sigterm_is_killed_after_its_grace(stage: Stage) -> None:
    ignore = "import signal, time; signal.signal(15, signal.SIG_IGN)"
    deaf = f"{ignore}; print(1, flush=True); time.sleep(600)"
    stage.crew.start(stage.spec("deaf", sys.executable, "-c", deaf, grace_s=0.3))
    wait_until(lambda: stage.lines)
    started = time.monotonic()
    stage.end()
    took_s = time.monotonic() - started
    assert took_s >= 0.3
    check_time("the end", took_s, 4)
    assert not marked_processes(stage.id)


def test_what_a_member_left_in_a_session_of_its_own_is_ended_and_counted(stage: Stage) -> None:
    orphan = f"import subprocess; subprocess.Popen({list(SLEEPER)!r}, start_new_session=True)"
    stage.crew.start(stage.spec("parent", sys.executable, "-c", orphan))
    wait_until(lambda: len(marked_processes(stage.id)) == 1 and ("parent", "up") in stage.lines)
    killed = end_leftovers(stage.id, retry_for_s=0.1)
    assert len(killed) == 1
    assert not marked_processes(stage.id)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux' parent-death signal")
def test_a_launched_program_dies_with_a_parent_that_is_killed() -> None:
    nest = (
        "import os, subprocess, sys, time; "
        f"p = subprocess.Popen([sys.executable, '-I', {str(LAUNCHER)!r}, str(os.getpid()), '0', "
        f"*{list(SLEEPER)!r}], stdout=subprocess.PIPE); "
        "p.stdout.readline(); print(p.pid, flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", nest], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert is_alive(child)
        parent.kill()
    # Its body may wait for whoever inherits orphans here.
    wait_until(lambda: not is_alive(child))


def test_a_program_whose_parent_is_gone_already_is_not_run() -> None:
    gone = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True
    )
    launched = subprocess.run(
        [sys.executable, "-I", str(LAUNCHER), gone.stdout.decode().strip(), "0", "echo", "ran"],
        capture_output=True,
    )
    assert (launched.returncode, launched.stdout) == (1, b"")
