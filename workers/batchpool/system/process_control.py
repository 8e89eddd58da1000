"""Keep and kill the processes below this one."""

import contextlib
import errno
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable

from batchpool.system.process_tree import (
    ProcessSnapshotCache,
    all_pids,
    children_of,
    command_of,
    is_alive,
    kernel_lists_children,
    parents_of,
)

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_LINUX = sys.platform == "linux"
_TRACKER = "multiprocessing.resource_tracker"
_GRACE_POLL_S = 0.01
_snapshots = ProcessSnapshotCache()


def die_with_parent(parent: int | None = None) -> None:
    """Ask the kernel to SIGKILL this process when the thread that started it ends (Linux only).

    Args:
        parent: the PID that the parent had; if it has ended already, this process ends now.
    """
    if _LINUX:
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    # The parent may have died between the fork and the line above.
    if parent is not None and os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def become_subreaper() -> bool:
    """Make orphans below this process its children; returns False if the kernel cannot.

    Without it a grandchild that called setsid and lost its parent is no descendant of this
    process, and cannot be found.
    """
    if not _LINUX:
        return False
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    return True


def kill_tree(pid: int, exclude: Iterable[int] = (), grace_s: float = 1.0) -> None:
    """SIGKILL `pid` and everything below it; returns when all of it is dead.

    Resource trackers are killed last: they unlink the named semaphores of the
    others and end by themselves, or are killed after `grace_s`. `pid` itself is
    left for its parent to reap; orphans that this process inherits are reaped here.

    Args:
        pid: the root of the tree.
        exclude: PIDs below it that are left alone, with all below them.
        grace_s: how long a resource tracker may take to clean up.
    """
    _kill_trees({pid}, set(exclude), grace_s)


def kill_orphans(exclude: Iterable[int] = (), grace_s: float = 0.0) -> dict[int, str]:
    """SIGKILL every process below this one that is not in `exclude`, until there are none.

    All at once: a thousand of them take as many looks at /proc as one.

    Args:
        exclude: PIDs that are left alone, with all below them.
        grace_s: how long they may take to end by themselves first.

    Returns:
        The command lines of the topmost ones that were found alive, by PID.
    """
    excluded = set(exclude)
    killed: dict[int, str] = {}
    deadline = time.monotonic() + grace_s
    while any(map(is_alive, _find_orphans(excluded))) and time.monotonic() < deadline:
        time.sleep(_GRACE_POLL_S)
    while orphans := _find_orphans(excluded):
        killed |= {pid: command_of(pid) for pid in orphans if is_alive(pid)}
        _kill_trees(set(orphans), excluded, 1.0)
        for pid in orphans:
            _reap(pid)
    return killed


def _kill_trees(roots: set[int], excluded: set[int], grace_s: float) -> None:
    tree = _freeze_trees(roots, excluded)
    trackers = {member for member in tree - roots if _is_tracker(member)}
    for member in tree - trackers:
        _signal(member, signal.SIGKILL)
    for tracker in trackers:
        _signal(tracker, signal.SIGCONT)
    _await_end(tree - trackers, time.monotonic() + 5.0)
    if not _await_end(trackers, time.monotonic() + grace_s):
        for tracker in trackers:
            _signal(tracker, signal.SIGKILL)
        _await_end(trackers, time.monotonic() + 5.0)
    for member in tree - roots:
        _reap(member)


def _freeze_trees(roots: set[int], excluded: set[int]) -> set[int]:
    # A stopped process starts no other: stop all until no new ones turn up, then nobody escapes.
    frozen: set[int] = set()
    while True:
        fresh = ({*roots, *_below(roots, excluded)}) - frozen
        if not fresh:
            return frozen
        for member in fresh:
            _signal(member, signal.SIGSTOP)
        frozen |= fresh


def _below(roots: set[int], excluded: set[int]) -> list[int]:
    parents = parents_of(all_pids())
    found: list[int] = []
    level = list(roots)
    while level:
        above = set(level)
        level = [c for c, parent in parents.items() if parent in above and c not in excluded]
        found += level
    return found


def _find_orphans(excluded: set[int]) -> list[int]:
    if kernel_lists_children():
        return _orphans_among(children_of, excluded)
    children = _snapshots.children_by_parent(excluded)
    found = _orphans_among(lambda pid: children.get(pid, []), excluded)
    if found:
        _snapshots.forget()
    return found


def _orphans_among(children_of: Callable[[int], list[int]], excluded: set[int]) -> list[int]:
    found: list[int] = []
    here = os.getpid()
    level = [here]
    while level:
        children = [(child, pid) for pid in level for child in children_of(pid)]
        # A zombie can be reaped by its parent only; below a child it is that child's affair.
        found += [c for c, pid in children if c not in excluded and (pid == here or is_alive(c))]
        level = [c for c, _ in children if c in excluded]
    return found


def _await_end(pids: set[int], deadline: float) -> bool:
    left = set(pids)
    while left := {pid for pid in left if is_alive(pid)}:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.002)
    return True


def _reap(pid: int) -> None:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def _is_tracker(pid: int) -> bool:
    return _TRACKER in command_of(pid)


def _prctl(option: int, value: int) -> None:
    # Only here: sub-interpreters import this module, and need none of it.
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"prctl({option}): {errno.errorcode.get(code, code)}")
