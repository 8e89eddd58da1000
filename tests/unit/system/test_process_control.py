"""Whole trees of processes are found and ended, the clean-up of semaphores included."""

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from batchpool.system import process_control as processes
from batchpool.system.process_control import kill_orphans, kill_tree
from batchpool.system.process_tree import children_of, descendants, is_alive
from batchpool.system.semaphores import remove_semaphores
from tests.support.waiting import wait_until

TREE = """
    import os, signal, subprocess, sys, time
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    code = "import time; time.sleep(60)"
    subprocess.Popen([sys.executable, "-c", code])
    subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
    nested = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {code!r}])"
    subprocess.Popen([sys.executable, "-c", nested])
    print("up", flush=True)
    time.sleep(60)
"""
SEMAPHORES = """
    import multiprocessing, time
    lock = multiprocessing.get_context("spawn").Lock()
    print(lock._semlock.name, flush=True)
    time.sleep(60)
"""

ASLEEP = "import time; time.sleep(60)"
NESTED = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {ASLEEP!r}])"


def start(code: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@pytest.fixture
def others() -> set[int]:
    """What runs below this process for the test session, and is none of a test's."""
    return set(descendants(os.getpid()))


@pytest.fixture
def tree(others: set[int]) -> Iterator[subprocess.Popen[str]]:
    root = start(TREE)
    assert root.stdout is not None
    root.stdout.readline()
    wait_until(lambda: len(descendants(root.pid)) == 4)
    yield root
    root.kill()
    root.wait()
    root.stdout.close()


def is_tracker(pid: int) -> bool:
    return b"resource_tracker" in Path(f"/proc/{pid}/cmdline").read_bytes()


def test_all_of_a_tree_is_found_and_killed(tree: subprocess.Popen[str]) -> None:
    below = descendants(tree.pid)
    assert set(children_of(tree.pid)) < set(below)
    kill_tree(tree.pid)
    assert not any(map(is_alive, [tree.pid, *below]))
    assert tree.wait() == -signal.SIGKILL


def test_what_is_spared_lives(tree: subprocess.Popen[str], others: set[int]) -> None:
    spared = children_of(tree.pid)[0]
    below = set(descendants(tree.pid)) - {spared}
    kill_tree(tree.pid, exclude=[spared])
    assert is_alive(spared)
    assert not any(map(is_alive, below))
    tree.wait()
    # Its parent is gone: it is ours now.
    assert list(kill_orphans(exclude=others)) == [spared]


def test_strays_are_killed_and_the_kept_are_not(
    tree: subprocess.Popen[str], others: set[int]
) -> None:
    below = set(descendants(tree.pid))
    assert set(kill_orphans(exclude={tree.pid, *others})) < below
    assert is_alive(tree.pid)
    assert not any(map(is_alive, below))
    assert kill_orphans(exclude={tree.pid, *others}) == {}


def test_strays_are_found_that_come_right_after_a_look(
    others: set[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the kernel does not list children, only what is new is looked at so soon."""
    monkeypatch.setattr(processes, "kernel_lists_children", lambda: False)
    assert kill_orphans(exclude=others) == {}
    kept = start(NESTED)
    wait_until(lambda: descendants(kept.pid))
    (below,) = descendants(kept.pid)
    assert list(kill_orphans(exclude={kept.pid, *others})) == [below]
    kept.wait()
    assert kept.stdout is not None
    kept.stdout.close()
    stray = start(ASLEEP)
    assert list(kill_orphans(exclude=others)) == [stray.pid]
    assert stray.stdout is not None
    stray.stdout.close()
    stray.wait()


def test_who_is_kept_no_more_is_a_stray(others: set[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "kernel_lists_children", lambda: False)
    once_kept = start(ASLEEP)
    assert kill_orphans(exclude={once_kept.pid, *others}) == {}
    assert list(kill_orphans(exclude=others)) == [once_kept.pid]
    assert once_kept.stdout is not None
    once_kept.stdout.close()
    once_kept.wait()


def test_a_killed_tree_leaves_no_semaphore() -> None:
    root = start(SEMAPHORES)
    assert root.stdout is not None
    wait_until(lambda: any(map(is_tracker, children_of(root.pid))))
    name = Path("/dev/shm/sem." + root.stdout.readline().strip().lstrip("/"))
    assert name.exists()
    kill_tree(root.pid)
    root.wait()
    root.stdout.close()
    assert not name.exists()


def test_killing_what_is_gone_is_no_error() -> None:
    process = start("pass")
    process.wait()
    assert process.stdout is not None
    process.stdout.close()
    kill_tree(process.pid)


CHILDREN = """
    import subprocess, sys
    from batchpool.system.process_tree import has_children, is_alive
    assert not has_children()
    process = subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE)
    process.stdout.read()
    while is_alive(process.pid):
        pass
    assert has_children()
    process.wait()
    assert not has_children()
    print("seen", flush=True)
"""


def test_children_are_seen_until_they_are_reaped() -> None:
    # In a process of its own: this one has the servers of the test session for children.
    process = start(CHILDREN)
    assert process.stdout is not None
    assert process.stdout.read() == "seen\n"
    assert process.wait() == 0
    process.stdout.close()


def test_semaphores_bear_the_name_of_their_folder_and_can_be_removed(tmp_path: Path) -> None:
    named = f"""
        from pathlib import Path
        from multiprocessing import resource_tracker
        from batchpool.system.semaphores import name_semaphores
        name_semaphores(Path({str(tmp_path)!r}))
        resource_tracker.register = resource_tracker._resource_tracker.register = lambda *_: None
        {SEMAPHORES}
    """
    root = start("\n".join(line.strip() for line in named.splitlines()))
    assert root.stdout is not None
    name = Path("/dev/shm/sem." + root.stdout.readline().strip().lstrip("/"))
    assert name.exists()
    assert name.name.startswith("sem.bp")
    kill_tree(root.pid)
    root.wait()
    root.stdout.close()
    remove_semaphores(tmp_path / "other")
    assert name.exists()
    remove_semaphores(tmp_path)
    assert not name.exists()
