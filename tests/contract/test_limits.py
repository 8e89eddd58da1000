"""Where a limit of the machine is reached a batch goes on with less, or says which one it was."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).with_name("few_processes.py")
ANOTHER_USER = 61_234
THREADED = ("threading", "thread-pool dispatch=map", "thread-pool dispatch=submit")


def run_with_room(room: int, backend: str, concurrency: int) -> tuple[dict[str, Any], ...]:
    """What is said of a batch, and of the next one, where so many processes can be started."""
    name, *options = backend.split()
    command = [sys.executable, SCRIPT, str(room), name, str(concurrency), *options]
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
    batch, after = run_with_room(5, backend, concurrency=40)
    assert batch["states"] == ["succeeded"] * 60
    assert 1 <= batch["concurrency"] <= 5
    assert batch["seconds"] < 10
    assert after["states"] == ["succeeded"] * 5


def test_auto_does_without_threads_that_cannot_be_started() -> None:
    batch, after = run_with_room(1, "auto", concurrency=40)
    assert batch["states"] == ["succeeded"] * 60
    assert after["states"] == ["succeeded"] * 5


@pytest.mark.parametrize("backend", [*THREADED, "auto"])
def test_without_any_thread_a_batch_ends_and_names_the_limit(backend: str) -> None:
    batch, after = run_with_room(0, backend, concurrency=40)
    assert "RLIMIT_NPROC" in batch["error"]
    assert batch["seconds"] < 10
    assert after["states"] == ["succeeded"] * 5
