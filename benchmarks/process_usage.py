"""Memory and CPU time of a stack's processes, each with its descendants."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import psutil

from batchpool.stack.local_stack import LocalStack

_POLL_S = 0.05
MB = 1e6


@dataclass
class Peaks:
    """The peak memory of each process, by `member/process`."""

    rss_bytes: dict[str, int] = field(default_factory=dict)

    def of(self, member: str) -> int:
        """The largest process of a member."""
        return max((v for k, v in self.rss_bytes.items() if k.startswith(member)), default=0)


def members(stack: LocalStack) -> dict[str, list[psutil.Process]]:
    """The processes of each member, its own first."""
    found: dict[str, list[psutil.Process]] = {}
    for name, pid in stack.pids().items():
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            found[name] = [process, *process.children(recursive=True)]
    return found


def rss_by_process(stack: LocalStack) -> dict[str, int]:
    """Resident memory by member and position in its tree."""
    sizes = {}
    for name, processes in members(stack).items():
        for place, process in enumerate(processes):
            with suppress(psutil.NoSuchProcess):
                sizes[f"{name}/{place}"] = process.memory_info().rss
    return sizes


def cpu_s_by_member(stack: LocalStack) -> dict[str, float]:
    """CPU time used so far, by member."""
    times = {}
    for name, processes in members(stack).items():
        times[name] = 0.0
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                used = process.cpu_times()
                times[name] += used.user + used.system
    return times


@contextmanager
def watching(stack: LocalStack) -> Iterator[Peaks]:
    """Sample the memory of all members while the block lasts."""
    peaks, done = Peaks(), threading.Event()

    def sample() -> None:
        while True:
            for name, size in rss_by_process(stack).items():
                peaks.rss_bytes[name] = max(size, peaks.rss_bytes.get(name, 0))
            if done.wait(_POLL_S):
                return

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield peaks
    finally:
        done.set()
        thread.join()
