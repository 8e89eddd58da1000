"""The resource usage of a batch: CPU time, memory, throttling, context switches."""

import os
import resource
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from batchpool.model import Switches, Usage
from batchpool.system.cpus import cgroup_quota, throttled_s, usable_cpus
from batchpool.system.process_tree import fast_descendants, has_children, stat_fields

_LINUX = sys.platform == "linux"
_CHILD_FAULTS = 8
_CHILD_CPU = slice(13, 15)
"""In the fields of /proc/<pid>/stat from the state on: minor faults, and user and system time, of
children that have ended and were waited for."""
_TRIES = 3


class UsageMeter:
    """Reads the CPU time of this process and all below it, from when it is made.

    The CPU time of a process that ends is added to the parent that waits for it, so the sum
    over the tree counts every process once, including short-lived ones. The caller reads
    when nothing of the batch starts or ends.
    """

    def __init__(self) -> None:
        self._load_1m = os.getloadavg()[0]
        self._throttled = throttled_s()
        self._clocks = cpu_clocks(os.getpid())
        self._before = _read()

    def usage(self, peak_pss_bytes: int | None) -> Usage:
        """What was used since this was made.

        Args:
            peak_pss_bytes: as it was sampled, None if it never was. One more is taken now: the last
                sample may be older than the first work of a child.
        """
        after = _read()
        return Usage(
            cpu_s=round(max(0.0, after.cpu_s - self._before.cpu_s), 6),
            peak_pss_bytes=max(
                filter(None, (peak_pss_bytes, tree_pss_bytes(os.getpid(), self._clocks))),
                default=None,
            ),
            throttled_s=self._throttled_since(),
            load_1m=self._load_1m,
            cpus=float(usable_cpus()),
            quota=cgroup_quota(),
            switches=_switches(self._before, after),
        )

    def _throttled_since(self) -> float | None:
        now = throttled_s()
        # Groups are nested: the longest wait is ours.
        waits = [now[path] - before for path, before in self._throttled.items() if path in now]
        return round(max(0.0, *waits), 6) if waits else None


class _Reading(NamedTuple):
    cpu_s: float
    voluntary: int
    involuntary: int
    unseen: int
    """Grows when a process ends whose switches only its parent below us has received."""


def _read() -> _Reading:
    for _ in range(_TRIES - 1):
        try:
            return _read_once()
        except ProcessLookupError:
            continue
    return _read_once(skip_missing=True)


def _read_once(skip_missing: bool = False) -> _Reading:
    own = resource.getrusage(resource.RUSAGE_SELF)
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = time.process_time() + ended.ru_utime + ended.ru_stime
    voluntary, involuntary = own.ru_nvcsw + ended.ru_nvcsw, own.ru_nivcsw + ended.ru_nivcsw
    unseen = 0
    for pid in fast_descendants(os.getpid()) if has_children() else ():
        try:
            child = _read_process(pid)
        except ProcessLookupError:
            if not skip_missing:
                raise
            continue
        cpu_s += child.cpu_s
        voluntary, involuntary = voluntary + child.voluntary, involuntary + child.involuntary
        unseen += child.unseen
    return _Reading(cpu_s, voluntary, involuntary, unseen)


def _read_process(pid: int) -> _Reading:
    if not _LINUX:
        return _read_portably(pid)
    fields = stat_fields(pid)
    if not fields:
        raise ProcessLookupError(pid)
    ticks = sum(map(int, fields[_CHILD_CPU]))
    cpu_s = ticks / os.sysconf("SC_CLK_TCK") + _own_cpu_s(pid)
    return _Reading(cpu_s, *_thread_switches(pid), unseen=int(fields[_CHILD_FAULTS]))


def _own_cpu_s(pid: int) -> float:
    # clock_getcpuclockid(3): in nanoseconds, where /proc counts in hundredths of a second.
    try:
        return time.clock_gettime(~pid << 3 | 2)
    except OSError:
        raise ProcessLookupError(pid) from None


def _thread_switches(pid: int) -> tuple[int, int]:
    voluntary = involuntary = 0
    for status in Path(f"/proc/{pid}/task").glob("*/status"):
        for line in _text(status).splitlines():
            name, _, number = line.partition(":")
            if name == "voluntary_ctxt_switches":
                voluntary += int(number)
            elif name == "nonvoluntary_ctxt_switches":
                involuntary += int(number)
    return voluntary, involuntary


def _read_portably(pid: int) -> _Reading:
    # psutil only here: on Linux a runner must not pay for its import.
    import psutil

    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.NoSuchProcess:
        raise ProcessLookupError(pid) from None
    ended = getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)
    return _Reading(times.user + times.system + ended, 0, 0, 0)


def _switches(before: _Reading, after: _Reading) -> Switches | None:
    if not _LINUX or after.unseen != before.unseen:
        return None
    return Switches(
        voluntary=max(0, after.voluntary - before.voluntary),
        involuntary=max(0, after.involuntary - before.involuntary),
    )


def cpu_clocks(pid: int) -> dict[int, float]:
    """The CPU time so far of each process below `pid`, by PID; empty where it cannot be read."""
    return {child: clock for child in fast_descendants(pid) if (clock := _clock(child)) is not None}


def tree_pss_bytes(pid: int, idle: Mapping[int, float]) -> int | None:
    """The memory of a process and all below it, shared pages counted once; None if unknown.

    Costs about a millisecond per process.

    Args:
        idle: what `cpu_clocks` returned before the batch. Processes idle since, such as a pool
            that is kept for other batches, are left out.
    """
    working = (child for child in fast_descendants(pid) if _clock(child) != idle.get(child))
    found = [size for each in (pid, *working) if (size := _pss_of(each)) is not None]
    return sum(found) if found else None


def _clock(pid: int) -> float | None:
    try:
        return _own_cpu_s(pid) if _LINUX else None
    except ProcessLookupError:
        return None


def _pss_of(pid: int) -> int | None:
    for line in _text(Path(f"/proc/{pid}/smaps_rollup")).splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return None


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
