"""The state of this process that a task can change: a snapshot, compared and restored."""

import os
import resource
import signal
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from batchpool.system.cpython_internals import block_signals, signal_handler

_STREAMS = (0, 1, 2)
_TIMERS = (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)
# RLIMIT_NOFILE, not RLIMIT_OFILE: of two names of a limit the first one.
_NAMES = sorted((name for name in dir(resource) if name.startswith("RLIMIT_")), reverse=True)
_LIMITS = {int(getattr(resource, name)): name for name in _NAMES}
_SIGNALS = tuple(int(number) for number in sorted(signal.valid_signals()))
_CATCHABLE = tuple(number for number in _SIGNALS if number not in (signal.SIGKILL, signal.SIGSTOP))
_NAMESPACES = [f"/proc/self/ns/{name}" for name in ("mnt", "net", "pid_for_children")]
_FDS = Path("/proc/self/fd")
_MOST_DESCRIPTORS = 500
"""So many descriptors more than at the snapshot are a leak, as are three quarters of the limit."""


class NotRestored(Exception):
    """A part of the state cannot be put back; the message names it."""


class Restorable(Protocol):
    """A snapshot of some state."""

    def restore(self) -> None:
        """Put back what has changed.

        Raises:
            NotRestored: something cannot be put back.
        """


def restore(states: Iterable[Restorable]) -> str | None:
    """Restore all states; returns what cannot be put back, so that this process must end."""
    try:
        for state in states:
            state.restore()
    except NotRestored as part:
        return f"a task changed what cannot be put back: {part}"
    # A border: functions that a task has replaced may raise anything.
    except Exception as error:
        return f"the state of the process cannot be put back: {error!r}"
    return None


class _Part(NamedTuple):
    """A part of the state that is read by one call and written by another."""

    name: str
    read: Callable[[], Any]
    write: Callable[[Any], object]


def _read_directory() -> str | None:
    try:
        return os.getcwd()
    except OSError:
        return None


def _write_directory(path: str | None) -> None:
    if path is not None:
        os.chdir(path)


def _write_timers(timers: Iterable[tuple[float, float]]) -> None:
    for which, (left_s, every_s) in zip(_TIMERS, timers, strict=True):
        signal.setitimer(which, left_s, every_s)


def _read_handlers() -> list[Any]:
    return [signal_handler(number) for number in _CATCHABLE]


def _write_handlers(handlers: list[Any]) -> None:
    for number, wanted in zip(_CATCHABLE, handlers, strict=True):
        found = signal_handler(number)
        if found is not wanted and found != wanted:
            if wanted is None:
                raise NotRestored(f"the handler of {signal.Signals(number).name}")
            signal.signal(number, wanted)


def _read_mask() -> set[int]:
    return {int(number) for number in block_signals(())}


def _read_limits() -> list[tuple[int, int]]:
    return [resource.getrlimit(limit) for limit in _LIMITS]


def _write_limits(limits: list[tuple[int, int]]) -> None:
    for limit, wanted in zip(_LIMITS, limits, strict=True):
        if resource.getrlimit(limit) != wanted:
            try:
                resource.setrlimit(limit, wanted)
            except (OSError, ValueError) as error:
                # A hard limit that was lowered can be raised by a privileged process only.
                raise NotRestored(_LIMITS[limit]) from error


def _users() -> tuple[int, ...]:
    return (*os.getresuid(), *os.getresgid())


def _read_affinity() -> set[int]:
    return os.sched_getaffinity(0)


def _namespaces() -> list[str]:
    try:
        return [os.readlink(path) for path in _NAMESPACES]
    except OSError:
        return []


def _refuse(_: Any) -> None:
    raise OSError("cannot be undone")


_PARTS = (
    # First: a timer must not end while the rest is put back.
    _Part("timers", lambda: [signal.getitimer(which) for which in _TIMERS], _write_timers),
    _Part("signal handlers", _read_handlers, _write_handlers),
    _Part("signal mask", _read_mask, lambda mask: signal.pthread_sigmask(signal.SIG_SETMASK, mask)),
    _Part("limits", _read_limits, _write_limits),
    _Part("user", _users, _refuse),
    _Part("namespaces", _namespaces, _refuse),
    _Part("priority", lambda: os.nice(0), lambda nice: os.setpriority(os.PRIO_PROCESS, 0, nice)),
    _Part("CPU affinity", _read_affinity, lambda cpus: os.sched_setaffinity(0, cpus)),
    _Part("working directory", _read_directory, _write_directory),
)


class ProcessState:
    """Working directory, streams, signals, timers, umask, limits: as they were when it was made.

    Made and used in the main thread. A process that is as it was costs no more than reading it.
    """

    def __init__(self) -> None:
        self._parts = [(part, part.read()) for part in _PARTS]
        self._umask = os.umask(0o077)
        os.umask(self._umask)
        self._streams = [(fd, os.dup(fd), _identity(fd)) for fd in _STREAMS]
        self._wakeup_fd = signal.set_wakeup_fd(-1)
        signal.set_wakeup_fd(self._wakeup_fd)
        self._descriptors = _count_descriptors()

    def restore(self) -> None:
        """Put back what has changed.

        Raises:
            NotRestored: something cannot be put back.
        """
        for part, wanted in self._parts:
            if part.read() != wanted:
                try:
                    part.write(wanted)
                except (OSError, ValueError) as error:
                    raise NotRestored(part.name) from error
        os.umask(self._umask)
        signal.set_wakeup_fd(self._wakeup_fd)
        for fd, copy, identity in self._streams:
            if _identity(fd) != identity:
                _put_back(fd, copy, identity)
        self._check_descriptors()

    def _check_descriptors(self) -> None:
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        used = _count_descriptors()
        if used - self._descriptors > _MOST_DESCRIPTORS or used > soft * 3 // 4:
            raise NotRestored(f"descriptors: {used} are open, RLIMIT_NOFILE is {soft}")


def _identity(fd: int) -> tuple[int, int, int] | None:
    try:
        found = os.fstat(fd)
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_rdev


def _put_back(fd: int, copy: int, identity: tuple[int, int, int] | None) -> None:
    try:
        if _identity(copy) != identity:
            raise NotRestored(f"descriptor {fd}")
        os.dup2(copy, fd)
    except OSError as error:
        raise NotRestored(f"descriptor {fd}") from error


def _count_descriptors() -> int:
    try:
        return len(os.listdir(_FDS))
    except OSError:
        return 0
