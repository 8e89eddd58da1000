"""Where a limit of the machine is reached a batch goes on with less, or says which one it was."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).with_name("little_room.py")
ANOTHER_USER = 61_234 + os.getpid() % 4_000
"""Not the same in two test processes: the limit on processes is one of the user's."""
LONGEST_S = 15
THREADED = ("threading", "thread-pool dispatch=map", "thread-pool dispatch=submit")
PROCESSES = ("multiprocessing", "process-pool", "process-pool start_method=fork")
MORE_PROCESSES = (
    "multiprocessing start_method=fork",
    "process-pool dispatch=submit start_method=spawn",
)
full = pytest.mark.full


def run_with_room(limit: str, room: int, backend: str) -> dict[str, Any]:
    """What comes of a batch where a limit leaves so much room; the next batch must succeed."""
    name, *options = backend.split()
    command = [sys.executable, SCRIPT, limit, str(room), name, "40", *options]
    if limit == "processes" and os.getuid() == 0:
        command = [*as_another_user(), *command]
    temp_folder = tempfile.mkdtemp()
    if limit == "space":
        command = [*on_a_small_disk(temp_folder), *command]
    environ = {**os.environ, "TMPDIR": temp_folder} if limit == "space" else None
    try:
        ran = subprocess.run(
            command, capture_output=True, text=True, timeout=100, check=False, env=environ
        )
    finally:
        shutil.rmtree(temp_folder)
    assert ran.returncode == 0, ran.stderr[-2000:]
    batch, after = map(json.loads, ran.stdout.splitlines())
    assert batch["seconds"] < LONGEST_S
    assert after["states"] == ["succeeded"] * 5
    return dict(batch)


def as_another_user() -> list[str]:
    # The limit does not hold for root; the other user may read what root may.
    if shutil.which("setpriv") is None:
        pytest.skip("needs setpriv to run as another user than root")
    caps = "+dac_override,+dac_read_search"
    user = [f"--reuid={ANOTHER_USER}", f"--regid={ANOTHER_USER}", "--clear-groups"]
    return ["setpriv", *user, f"--inh-caps={caps}", f"--ambient-caps={caps}"]


def on_a_small_disk(folder: str) -> list[str]:
    command = ["unshare", "-rm", "sh", "-c"]
    mount = 'mount -t tmpfs -o size=512k tmpfs "$0"'
    if subprocess.run([*command, mount, folder], capture_output=True, check=False).returncode:
        pytest.skip("needs unshare, and a kernel that lets it mount a tmpfs")
    return [*command, f'{mount} && exec "$@"', folder]


def assert_that_it_ran_or_names(batch: dict[str, Any], limit: str) -> None:
    assert limit in batch.get("error", "") or batch["states"] == ["succeeded"] * 30


ALL_PROCESSES = [*PROCESSES, *(pytest.param(backend, marks=full) for backend in MORE_PROCESSES)]


@pytest.mark.parametrize("backend", THREADED)
def test_threads_that_cannot_be_started_are_done_without(backend: str) -> None:
    batch = run_with_room("processes", 5, backend)
    assert batch["states"] == ["succeeded"] * 30
    assert 1 <= batch["concurrency"] <= 5


@pytest.mark.full
def test_auto_does_without_threads_that_cannot_be_started() -> None:
    assert run_with_room("processes", 1, "auto")["states"] == ["succeeded"] * 30


@pytest.mark.parametrize("backend", ALL_PROCESSES)
def test_processes_that_cannot_be_started_are_done_without(backend: str) -> None:
    batch = run_with_room("processes", 14, backend)
    assert batch["states"] == ["succeeded"] * 30
    assert 1 <= batch["concurrency"] <= 14


@pytest.mark.parametrize("backend", [*THREADED, "auto"])
def test_without_any_thread_a_batch_ends_and_names_the_limit(backend: str) -> None:
    assert "RLIMIT_NPROC" in run_with_room("processes", 0, backend)["error"]


@pytest.mark.parametrize("room", [*(pytest.param(room, marks=full) for room in (0, 1, 3)), 2])
@pytest.mark.parametrize("backend", ALL_PROCESSES)
def test_with_next_to_no_room_for_processes_a_batch_runs_or_names_the_limit(
    backend: str, room: int
) -> None:
    assert_that_it_ran_or_names(run_with_room("processes", room, backend), "RLIMIT_NPROC")


@pytest.mark.parametrize("room", [*(pytest.param(room, marks=full) for room in (3, 45)), 10])
@pytest.mark.parametrize("backend", ["multiprocessing", "process-pool"])
def test_where_descriptors_run_out_a_batch_runs_or_names_the_limit(backend: str, room: int) -> None:
    assert_that_it_ran_or_names(run_with_room("descriptors", room, backend), "RLIMIT_NOFILE")


@pytest.mark.parametrize("backend", ["sequential", "thread-pool", "asyncio", "auto"])
def test_without_space_a_batch_ends_and_names_the_folder(backend: str) -> None:
    assert "no space left in" in run_with_room("space", 0, backend)["error"]


@pytest.mark.parametrize("room", [0, 150_000])
@pytest.mark.parametrize("backend", ["multiprocessing", "process-pool shared_sum=locked"])
def test_with_little_space_a_batch_has_fewer_children_or_names_the_folder(
    backend: str, room: int
) -> None:
    batch = run_with_room("space", room, backend)
    assert_that_it_ran_or_names(batch, "no space left in")
    assert ("states" in batch) == (room > 0)
