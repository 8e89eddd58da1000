"""Where a limit of the machine is reached a batch goes on with less, or says which one it was."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).with_name("little_room.py")
ANOTHER_USER = 61_234
PROCESSES = (
    "multiprocessing",
    "multiprocessing start_method=fork",
    "process-pool",
    "process-pool start_method=fork",
    "process-pool dispatch=submit start_method=spawn",
)
THREADED = ("threading", "thread-pool dispatch=map", "thread-pool dispatch=submit")


def run_with_room(
    room: int, backend: str, limit: str = "RLIMIT_NPROC", concurrency: int = 40
) -> tuple[dict[str, Any], ...]:
    """What is said of a batch, and of the next one, where a limit leaves so much room."""
    name, *options = backend.split()
    command = [sys.executable, SCRIPT, limit, str(room), name, str(concurrency), *options]
    if os.getuid() == 0:
        # The limit does not hold for root: another user, who may read what root may.
        if shutil.which("setpriv") is None:
            pytest.skip("needs setpriv to run as another user than root")
        caps = "+dac_override,+dac_read_search"
        user = [f"--reuid={ANOTHER_USER}", f"--regid={ANOTHER_USER}", "--clear-groups"]
        command = ["setpriv", *user, f"--inh-caps={caps}", f"--ambient-caps={caps}", *command]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr[-2000:]
    return tuple(map(json.loads, ran.stdout.splitlines()))


@pytest.mark.parametrize("backend", THREADED)
def test_threads_that_cannot_be_started_are_done_without(backend: str) -> None:
    batch, after = run_with_room(5, backend)
    assert batch["states"] == ["succeeded"] * 30
    assert 1 <= batch["concurrency"] <= 5
    assert batch["seconds"] < 10
    assert after["states"] == ["succeeded"] * 5


@pytest.mark.parametrize("backend", PROCESSES)
def test_processes_that_cannot_be_started_are_done_without(backend: str) -> None:
    batch, after = run_with_room(14, backend)
    assert batch["states"] == ["succeeded"] * 30
    assert 1 <= batch["concurrency"] <= 14
    assert batch["seconds"] < 10
    assert after["states"] == ["succeeded"] * 5


def test_auto_does_without_threads_that_cannot_be_started() -> None:
    batch, after = run_with_room(1, "auto")
    assert batch["states"] == ["succeeded"] * 30
    assert after["states"] == ["succeeded"] * 5


@pytest.mark.parametrize("room", [0, 1, 2, 3])
@pytest.mark.parametrize("backend", PROCESSES)
def test_without_any_process_a_batch_ends_and_names_the_limit(backend: str, room: int) -> None:
    batch, after = run_with_room(room, backend)
    assert "RLIMIT_NPROC" in batch.get("error", "") or batch["states"] == ["succeeded"] * 30
    assert batch["seconds"] < 10
    assert after["states"] == ["succeeded"] * 5


@pytest.mark.parametrize("backend", [*THREADED, "auto"])
def test_without_any_thread_a_batch_ends_and_names_the_limit(backend: str) -> None:
    batch, after = run_with_room(0, backend)
    assert "RLIMIT_NPROC" in batch["error"]
    assert batch["seconds"] < 10
    assert after["states"] == ["succeeded"] * 5


@pytest.mark.parametrize("room", [3, 10, 45])
@pytest.mark.parametrize("backend", ["multiprocessing", "process-pool"])
def test_where_descriptors_run_out_a_batch_has_fewer_or_names_the_limit(
    backend: str, room: int
) -> None:
    batch, after = run_with_room(room, backend, "RLIMIT_NOFILE")
    assert "RLIMIT_NOFILE" in batch.get("error", "") or batch["states"] == ["succeeded"] * 30
    assert batch["seconds"] < 10
    assert after["states"] == ["succeeded"] * 5
