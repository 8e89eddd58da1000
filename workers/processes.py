"""Finding, keeping and ending the processes below this one."""

import contextlib
import errno
import functools
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_LINUX = sys.platform == "linux"
_TRACKER = b"multiprocessing.resource_tracker"
_FRESH_S = 1.0
"""No kernel gives out all its PIDs, and the first of them again, in so short a time."""


def descendants(pid: int) -> list[int]:
    """The PIDs of all live processes below `pid`, parents before their children.

    Zombies count: somebody still has to reap them.
    """
    children = _children_by_pid()
    found: list[int] = []
    level = [pid]
    while level:
        level = [child for parent in level for child in children.get(parent, ())]
        found += level
    return found


def children_of(pid: int) -> list[int]:
    """The direct children of a process; quick, and may miss one while others are ending."""
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        threads = []
    found: list[int] = []
    for thread in threads:
        try:
            text = Path(f"/proc/{pid}/task/{thread}/children").read_text()
        except OSError:  # the kernel was built without it, or the thread has ended
            continue
        found += map(int, text.split())
    if found or _tells_children():
        return found
    return _children_by_pid().get(pid, [])


def quick_descendants(pid: int) -> list[int]:
    """All below a process, as exact as `children_of`, and no dearer than `descendants`."""
    if not _tells_children():
        return descendants(pid)
    found: list[int] = []
    level = [pid]
    while level:
        level = [child for parent in level for child in children_of(parent)]
        found += level
    return found


def has_children() -> bool:
    """Whether this process has any child, a zombie included; costs one system call."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def die_with_parent(parent: int | None = None) -> None:
    """Have the kernel SIGKILL this process when the thread that started it ends (Linux only).

    Args:
        parent: the PID that the parent had; when it is gone already, this process ends now.
    """
    if _LINUX:
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    # The parent may have died between the fork and the line above.
    if parent is not None and os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def become_subreaper() -> bool:
    """Have orphans below this process become its children; False where no kernel offers it.

    Without it a grandchild that called setsid and lost its parent is nobody's
    descendant, and can be found by nobody.
    """
    if not _LINUX:
        return False
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    return True


def kill_tree(pid: int, spare: Iterable[int] = (), grace_s: float = 1.0) -> None:
    """SIGKILL `pid` and everything below it; returns when all of it is dead.

    Resource trackers are killed last: they unlink the named semaphores of the
    others and end by themselves, or are killed after `grace_s`. `pid` itself is
    left for its parent to reap; orphans that this process inherits are reaped here.

    Args:
        pid: the root of the tree.
        spare: PIDs below it that are to live, and not to be looked into.
        grace_s: how long a resource tracker may take to clean up.
    """
    kept = set(spare)
    tree = _freeze_tree(pid, kept)
    trackers = {member for member in tree if member != pid and _is_tracker(member)}
    for member in tree - trackers:
        _signal(member, signal.SIGKILL)
    for tracker in trackers:
        _signal(tracker, signal.SIGCONT)
    _await_end(tree - trackers, time.monotonic() + 5.0)
    if not _await_end(trackers, time.monotonic() + grace_s):
        for tracker in trackers:
            _signal(tracker, signal.SIGKILL)
        _await_end(trackers, time.monotonic() + 5.0)
    for member in tree - {pid}:
        _reap(member)


def kill_strays(keep: Iterable[int] = ()) -> list[int]:
    """SIGKILL every process below this one that is not in `keep`, until there are none.

    Returns:
        The topmost ones of those that were found alive.
    """
    kept = set(keep)
    killed = []
    while strays := _strays(kept):
        for pid in strays:
            if _is_alive(pid):
                killed.append(pid)
            kill_tree(pid, kept)
            _reap(pid)
    return killed


def is_alive(pid: int) -> bool:
    """Whether `pid` runs, or could: a zombie does not."""
    return _is_alive(pid)


def _freeze_tree(pid: int, kept: set[int]) -> set[int]:
    # A stopped process starts no other: stop all until no new ones turn up, then nobody escapes.
    frozen: set[int] = set()
    while True:
        fresh = ({pid, *_below(pid, kept)}) - frozen
        if not fresh:
            return frozen
        for member in fresh:
            _signal(member, signal.SIGSTOP)
        frozen |= fresh


def _below(pid: int, kept: set[int]) -> list[int]:
    parents = _parents(_pids())
    found: list[int] = []
    level = [pid]
    while level:
        above = set(level)
        level = [c for c, parent in parents.items() if parent in above and c not in kept]
        found += level
    return found


def _strays(kept: set[int]) -> list[int]:
    if _tells_children():
        return _strays_among(children_of, kept)
    children = _census.look(kept)
    found = _strays_among(lambda pid: children.get(pid, []), kept)
    if found:
        _census.forget()
    return found


def _strays_among(children_of: Callable[[int], list[int]], kept: set[int]) -> list[int]:
    found: list[int] = []
    here = os.getpid()
    level = [here]
    while level:
        children = [(child, pid) for pid in level for child in children_of(pid)]
        # A zombie can be reaped by its parent only; below a child it is that child's affair.
        found += [c for c, pid in children if c not in kept and (pid == here or _is_alive(c))]
        level = [c for c, _ in children if c in kept]
    return found


def _await_end(pids: set[int], deadline: float) -> bool:
    left = set(pids)
    while left := {pid for pid in left if _is_alive(pid)}:
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
    try:
        return _TRACKER in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


@functools.cache
def _tells_children() -> bool:
    """Whether the kernel lists the children of a process, so that not all have to be looked at."""
    return os.path.exists(f"/proc/self/task/{os.getpid()}/children")


class _Census:
    """Looks for children soon after it did so before, at the price of what is new since.

    Who was there a moment ago and was no descendant of ours never becomes one: orphans go to an
    ancestor. That holds for as long as no PID can have been given out anew.
    """

    def __init__(self) -> None:
        self._known: set[int] = set()
        self._kept: set[int] = set()
        self._looked_s = -_FRESH_S
        self._owner = 0

    def look(self, kept: set[int]) -> dict[int, list[int]]:
        """The children of this process and of those in `kept`, by their parent."""
        now_s = time.monotonic()
        pids = _pids()
        is_fresh = now_s - self._looked_s < _FRESH_S and self._owner == os.getpid()
        # One that is not kept any more must be seen again.
        is_fresh = is_fresh and self._kept <= kept
        parents = _parents((pids - self._known) | (pids & kept) if is_fresh else pids)
        self._known, self._kept, self._looked_s, self._owner = pids, kept, now_s, os.getpid()
        return _by_parent(parents)

    def forget(self) -> None:
        """Look at all of them the next time: some were ours."""
        self._looked_s = -_FRESH_S


_census = _Census()


def _children_by_pid() -> dict[int, list[int]]:
    return _by_parent(_parents(_pids()))


def _by_parent(parents: dict[int, int]) -> dict[int, list[int]]:
    children: dict[int, list[int]] = {}
    for child, parent in parents.items():
        children.setdefault(parent, []).append(child)
    return children


def _pids() -> set[int]:
    if not _LINUX:
        # psutil only here: on Linux a child must not pay for its import.
        import psutil

        return set(psutil.pids())
    return {int(entry) for entry in os.listdir("/proc") if entry.isdigit()}


def _parents(pids: Iterable[int]) -> dict[int, int]:
    if not _LINUX:
        import psutil

        wanted = set(pids)
        found = psutil.process_iter(["ppid"])
        return {proc.pid: proc.info["ppid"] for proc in found if proc.pid in wanted}
    fields_of = ((pid, stat_fields(pid)) for pid in pids)
    return {pid: int(fields[1]) for pid, fields in fields_of if fields}


def _is_alive(pid: int) -> bool:
    if not _LINUX:
        import psutil

        with contextlib.suppress(psutil.NoSuchProcess):
            return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
        return False
    fields = stat_fields(pid)
    return bool(fields) and fields[0] not in (b"Z", b"X")


def stat_fields(pid: int) -> list[bytes]:
    """The fields of /proc/<pid>/stat from the state on; none when there is no such process."""
    # The name may hold spaces and brackets; what follows its last bracket is state, ppid, ...
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()
    except OSError:
        return []


def _prctl(option: int, value: int) -> None:
    # Only here: sub-interpreters import this module, and need none of it.
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"prctl({option}): {errno.errorcode.get(code, code)}")
