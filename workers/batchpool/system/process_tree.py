"""The process tree: children, descendants and parents."""

import contextlib
import functools
import os
import sys
import time
from collections.abc import Iterable
from pathlib import Path

_LINUX = sys.platform == "linux"
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
    """The direct children of a process; fast, but may miss one while others are ending."""
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
    if found or kernel_lists_children():
        return found
    return _children_by_pid().get(pid, [])


def children_of_main_thread(pid: int) -> list[int]:
    """Those that the main thread of a process has started; none where the kernel lists none."""
    try:
        return list(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))
    except OSError:
        return []


def fast_descendants(pid: int) -> list[int]:
    """All processes below one, as exact as `children_of`, at most as slow as `descendants`."""
    if not kernel_lists_children():
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


def is_alive(pid: int) -> bool:
    """Whether `pid` runs, or could: a zombie does not."""
    if not _LINUX:
        import psutil

        with contextlib.suppress(psutil.NoSuchProcess):
            return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
        return False
    fields = stat_fields(pid)
    return bool(fields) and fields[0] not in (b"Z", b"X")


def is_stopped(pid: int) -> bool:
    """Whether a signal keeps `pid` from running, not a debugger; False where there is no /proc."""
    fields = stat_fields(pid)
    return bool(fields) and fields[0] == b"T"


def stat_fields(pid: int) -> list[bytes]:
    """The fields of /proc/<pid>/stat from the state on; none when there is no such process."""
    # The name may hold spaces and brackets; what follows its last bracket is state, ppid, ...
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()
    except OSError:
        return []


def command_of(pid: int) -> str:
    """The command line of a process, "?" if it has ended or the system does not say."""
    try:
        text = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ")
    except OSError:
        text = b""
    return text.decode(errors="replace").strip() or "?"


@functools.cache
def kernel_lists_children() -> bool:
    """Whether the kernel lists the children of a process, so that not all have to be read."""
    return os.path.exists(f"/proc/self/task/{os.getpid()}/children")


class ProcessSnapshotCache:
    """Finds children by reading only the processes that are new since the last call.

    A process that was no descendant a moment ago never becomes one: orphans go to an
    ancestor. That holds while no PID can have been reused.
    """

    def __init__(self) -> None:
        self._known: set[int] = set()
        self._excluded: set[int] = set()
        self._read_s = -_FRESH_S
        self._owner = 0

    def children_by_parent(self, excluded: set[int]) -> dict[int, list[int]]:
        """The children of this process and of those in `excluded`, by their parent."""
        now_s = time.monotonic()
        pids = all_pids()
        is_fresh = now_s - self._read_s < _FRESH_S and self._owner == os.getpid()
        # One that is not kept any more must be seen again.
        is_fresh = is_fresh and self._excluded <= excluded
        parents = parents_of((pids - self._known) | (pids & excluded) if is_fresh else pids)
        self._known, self._excluded, self._read_s, self._owner = pids, excluded, now_s, os.getpid()
        return _by_parent(parents)

    def forget(self) -> None:
        """Read all processes the next time: some were ours."""
        self._read_s = -_FRESH_S


def _children_by_pid() -> dict[int, list[int]]:
    return _by_parent(parents_of(all_pids()))


def _by_parent(parents: dict[int, int]) -> dict[int, list[int]]:
    children: dict[int, list[int]] = {}
    for child, parent in parents.items():
        children.setdefault(parent, []).append(child)
    return children


def all_pids() -> set[int]:
    if not _LINUX:
        # psutil only here: on Linux a child must not pay for its import.
        import psutil

        return set(psutil.pids())
    return {int(entry) for entry in os.listdir("/proc") if entry.isdigit()}


def parents_of(pids: Iterable[int]) -> dict[int, int]:
    """The parent of each of these processes that exists."""
    if not _LINUX:
        import psutil

        wanted = set(pids)
        found = psutil.process_iter(["ppid"])
        return {proc.pid: proc.info["ppid"] for proc in found if proc.pid in wanted}
    fields_of = ((pid, stat_fields(pid)) for pid in pids)
    return {pid: int(fields[1]) for pid, fields in fields_of if fields}
