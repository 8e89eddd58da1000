"""Sample the peak memory of a batch's processes from the worker, which runs no task."""

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from batchpool.runner.protocol import PEAK_NAME, Ready, RunnerReply
from batchpool.system.resource_usage import cpu_clocks, tree_pss_bytes
from batchpool.worker.runner_process import RunnerProcess

FIRST_AFTER_S = 0.05
EVERY_S = 0.1
MOST_SHARE = 0.01
"""Share of one core that sampling may use: expensive samples are taken less often."""


class MemorySampler:
    """Samples the memory of a runner's tree, and writes the peak into the runner's folder."""

    def __init__(
        self,
        pid: int,
        folder: Path,
        measure: Callable[[int, Mapping[int, float]], int | None] = tree_pss_bytes,
        clock: Callable[[], float] = time.monotonic,
        cpu_clock: Callable[[], float] = time.thread_time,
    ) -> None:
        self._pid = pid
        self._idle = cpu_clocks(pid)
        self._path = folder / PEAK_NAME
        self._measure = measure
        self._clock = clock
        self._cpu_clock = cpu_clock
        self._peak = 0
        self._next = clock() + FIRST_AFTER_S
        self._path.unlink(missing_ok=True)

    def due_in_s(self) -> float:
        """How long until the next sample."""
        return max(0.0, self._next - self._clock())

    def tick(self) -> None:
        """Take a sample if one is due."""
        if self._clock() < self._next:
            return
        began = self._cpu_clock()
        size = self._measure(self._pid, self._idle)
        if size is not None and size > self._peak:
            self._peak = size
            self._write(size)
        cost_s = self._cpu_clock() - began
        self._next = self._clock() + max(EVERY_S, cost_s / MOST_SHARE)

    def _write(self, size: int) -> None:
        # In place, in one write: a reader finds the old number or the new one.
        file = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            os.write(file, f"{size:020d}".encode())
        finally:
            os.close(file)


def receive_sampling(
    runner: RunnerProcess, timeout_s: float, sampler: MemorySampler | None
) -> RunnerReply | Ready | None:
    """The runner's message within a time, during which its memory may be sampled."""
    if sampler is None:
        return runner.receive(timeout_s)
    end = time.monotonic() + timeout_s
    while True:
        left = max(0.0, end - time.monotonic())
        message = runner.receive(min(left, sampler.due_in_s()))
        if message is not None or left == 0:
            return message
        sampler.tick()
