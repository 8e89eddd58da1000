"""Name the limit of this machine that keeps threads, processes, files from being made."""

import errno
import os
import resource
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from time import sleep
from typing import NamedTuple

from batchpool.errors import LimitReached
from batchpool.system.cpus import cgroup_folders
from batchpool.system.cpython_internals import HookedThreadPoolExecutor, executor_threads

_PAUSES_S = (0.001, 0.004, 0.02, 0.1)
_ROOM_BYTES = 64 << 10
"""What a child needs for its outbox."""
_BATCH_BYTES = 1 << 20
_BATCH_PROCESSES = 4
_STACK_BYTES = 8 << 20
_NEAR = 0.8
_DESCRIPTORS = (errno.EMFILE, errno.ENFILE)
_SPACE = (errno.ENOSPC, errno.EDQUOT)
_LIMITS = (*_DESCRIPTORS, *_SPACE, errno.EAGAIN, errno.ENOMEM)
_NO_THREAD = "can't start new thread"


class _Limit(NamedTuple):
    name: str
    most: int
    used: int


def start_thread(thread: threading.Thread, patient: bool = True) -> None:
    """Start a thread.

    Args:
        patient: try for a moment: a thread that was joined counts for the kernel a little longer.
    Raises:
        LimitReached: the kernel starts no more.
    """
    _start(thread.start, _PAUSES_S if patient else _PAUSES_S[:1])


class FewerThreads(HookedThreadPoolExecutor):
    """Has an executor go on with the threads that it has when no more can be started.

    Raises:
        LimitReached: from `submit` and `map`, when there is none.
    """

    def on_thread_wanted(self) -> None:
        if executor_threads(self):
            try:
                self.start_thread()
            except (RuntimeError, MemoryError):
                # The call is in the queue already: one of the threads will take it.
                self.most_threads = executor_threads(self)
        else:
            _start(self.start_thread, _PAUSES_S)


def _start(start: Callable[[], None], pauses_s: Sequence[float]) -> None:
    for pause_s in pauses_s:
        try:
            start()
        except (RuntimeError, MemoryError) as error:
            refusal: Exception = error
            sleep(pause_s)
        else:
            return
    raise LimitReached(f"no thread can be started: {explain(refusal)}") from refusal


def explain(error: BaseException, folder: Path | None = None) -> str:
    """The limit behind an error, or the error itself where none is known."""
    return limit_behind(error, folder) or repr(error)


def limit_behind(error: BaseException, folder: Path | None = None) -> str | None:
    """The limit of this machine that caused an error; None if it was another cause.

    Args:
        folder: a folder in the one where files are made, for an error that speaks of space.
    """
    code = error.errno if isinstance(error, OSError) else None
    if isinstance(error, LimitReached):
        return str(error)
    if code in _DESCRIPTORS:
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        return f"no descriptor is left (RLIMIT_NOFILE is {soft})"
    if code in _SPACE:
        return f"no space left in {_full_folder(folder and folder.parent)}"
    if code == errno.EFBIG:
        soft, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
        return f"a file may not grow further (RLIMIT_FSIZE is {soft})"
    if code == errno.ENOMEM or isinstance(error, MemoryError):
        return f"no memory is left{_in_brackets(_tightest(_memory_limits()))}"
    limit = _tightest(_process_limits())
    if code == errno.EAGAIN or (isinstance(error, RuntimeError) and _NO_THREAD in str(error)):
        return f"no more threads or processes are allowed{_in_brackets(limit)}"
    if isinstance(error, EOFError | ConnectionError) and _is_near(limit):
        return f"{error!r}: no more processes are allowed{_in_brackets(limit)}"
    return None


def reached_limits(*folders: Path, root: Path = Path("/")) -> list[str]:
    """The limits of this machine that leave no room now for a batch of a few children.

    Args:
        folders: where files are made.
        root: where `proc` and `sys` lie.
    """
    reached = [
        f"no space left in {folder}"
        for folder in folders
        if folder.is_dir() and _free_bytes(folder) < _BATCH_BYTES
    ]
    groups = _tightest(_group_limits(root))
    if groups is not None and groups.used + _BATCH_PROCESSES > groups.most:
        reached.append(f"no more threads or processes are allowed{_in_brackets(groups)}")
    return reached


def limit_of_exit(code: int | None, folder: Path) -> str | None:
    """The limit that a child named by the status it ended with, see `exit_status_of`."""
    return limit_behind(OSError(code, os.strerror(code)), folder) if code in _LIMITS else None


def exit_status_of(error: BaseException) -> int:
    """The status with which a child ends that cannot start: the number of the error, or 1."""
    if isinstance(error, OSError) and error.errno in _LIMITS:
        return int(error.errno)
    return errno.ENOMEM if isinstance(error, MemoryError) else 1


def _is_near(limit: _Limit | None) -> bool:
    return limit is not None and limit.used >= _NEAR * limit.most


def _in_brackets(limit: _Limit | None) -> str:
    return "" if limit is None else f" ({limit.name} is {limit.most}, {limit.used} in use)"


def _tightest(limits: Iterator[_Limit]) -> _Limit | None:
    return max(limits, key=lambda limit: limit.used / max(1, limit.most), default=None)


def _group_limits(root: Path = Path("/")) -> Iterator[_Limit]:
    for folder in cgroup_folders("pids", root):
        most, used = _number(folder / "pids.max"), _number(folder / "pids.current")
        if most is not None and used is not None:
            yield _Limit("pids.max of the control group", most, used)


def _process_limits() -> Iterator[_Limit]:
    yield from _group_limits()
    most, _ = resource.getrlimit(resource.RLIMIT_NPROC)
    if most != resource.RLIM_INFINITY:
        yield _Limit("RLIMIT_NPROC", most, _count_threads_of_user())
    # The kernel refuses a thread too when there is no room for its stack.
    yield from _memory_limits()


def _memory_limits() -> Iterator[_Limit]:
    most, _ = resource.getrlimit(resource.RLIMIT_AS)
    if most != resource.RLIM_INFINITY:
        pages = _number(Path("/proc/self/statm")) or 0
        yield _Limit("RLIMIT_AS", most, pages * resource.getpagesize() + _STACK_BYTES)


def _count_threads_of_user() -> int:
    count = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if process.stat().st_uid == os.getuid():
                count += len(os.listdir(process / "task"))
        except OSError:
            continue
    return count


def _full_folder(folder: Path | None) -> Path:
    for place in (folder, Path("/dev/shm")):  # noqa: S108  # where semaphores lie
        if place is not None and place.is_dir() and _free_bytes(place) < _ROOM_BYTES:
            return place
    return folder or Path("/dev/shm")  # noqa: S108


def _free_bytes(folder: Path) -> int:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize if found.f_blocks else _ROOM_BYTES


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return None
