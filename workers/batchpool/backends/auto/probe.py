"""Profile the first items of a batch while they run: CPU time, GIL, scaling over threads."""

import contextlib
import pickle
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from math import ceil
from time import monotonic, sleep

from batchpool.backends.auto.cost_model import Constraints, choose
from batchpool.backends.auto.resizable_threads import ResizableThreads, queued_s
from batchpool.backends.auto.task_profile import WAITS_BELOW, TaskProfile
from batchpool.backends.auto.timings import Timings
from batchpool.backends.base import Batch
from batchpool.backends.item_source import ItemSource

MEASURE_S = 0.02
_SAMPLE_EVERY_S = 0.001
_LEAST_SAMPLES = 5
"""Fewer samples of the GIL than this are not conclusive."""
_MOST_THREADS = 16
_ENOUGH_CPUS = 2.0
"""Threads are started to keep so many CPUs busy, to measure whether they can."""
_WIDER = 2
_ABOUT = 0.3
"""One thread that kept 0.9 CPUs busy counts as one that keeps a whole one busy."""
_UNLIKE = 0.15
"""Tasks whose share of CPU differs by more than this are of several kinds."""
_COMPUTES_FROM = 0.5
_LONGEST_S = 0.05


class Probe:
    """Runs items in threads, few at first, and measures how much CPU they use."""

    def __init__(
        self,
        threads: ResizableThreads,
        items: ItemSource,
        batch: Batch,
        timings: Timings,
        cpus: int,
    ) -> None:
        self._threads = threads
        self._items = items
        self._batch = batch
        self._timings = timings
        self._cpus = cpus
        self._is_over = False
        self._began_s = monotonic()

    def run(self, constraints: Callable[[], Constraints]) -> TaskProfile:
        """Measure until the kind of task is clear; returns while threads go on.

        Args:
            constraints: those at the moment of the call.
        """
        self._timings.clear()
        self._threads.resize(1)
        alone, gil_held = self._measure_one(MEASURE_S)
        first = self._timings.mean(least=1)
        if alone < WAITS_BELOW:
            return self._measure_waiting(alone, first, constraints)
        profile = self._profile(alone, first, gil_held)
        if profile.is_uneven and constraints().warm_children:
            # It has a place for each kind of task, whatever threads would do.
            return profile
        while profile.holds_gil:
            # A second thread in this process would slow down the first.
            if not self._is_unclear(profile, constraints):
                return profile
            self._measure_busy(MEASURE_S)
            profile = self._profile(alone, self._timings.mean(least=1), gil_held)
        threads = min(self._batch.concurrency, _MOST_THREADS, ceil(_ENOUGH_CPUS / alone - _ABOUT))
        if threads < 2 or self._is_over:
            return profile
        self._threads.resize(threads)
        if not profile.is_saturated:
            # They begin with the same wait, which is over when the first has ended.
            self._measure_busy(min(profile.task_wall_s, _LONGEST_S))
        while True:
            busy = self._measure_busy(max(MEASURE_S, min(2 * profile.task_wall_s, _LONGEST_S)))
            profile = replace(self._profile(alone, None, gil_held), busy=busy, threads=threads)
            if not self._is_unclear(profile, constraints):
                return profile

    def _measure_waiting(
        self,
        alone: float,
        first: tuple[float, float] | None,
        constraints: Callable[[], Constraints],
    ) -> TaskProfile:
        """Tasks that wait may compute later: as long as none has ended, only some are begun."""
        profile, seen = self._profile(alone, first), constraints()
        if seen.warm_children or not seen.may_compute_yet(profile):
            return profile
        threads = min(self._batch.concurrency, _WIDER * self._cpus)
        while first is None and not self._is_over:
            self._threads.resize(threads)
            busy = self._measure_busy(MEASURE_S)
            first = self._timings.mean(least=1)
            if busy > _COMPUTES_FROM:
                busy = self._measure_busy(MEASURE_S)
                so_far_s = monotonic() - self._began_s
                wall_s, cpu_s = first or (so_far_s, so_far_s / 2)
                return TaskProfile(
                    tasks=self._timings.count,
                    task_wall_s=wall_s,
                    task_cpu_s=cpu_s,
                    busy_alone=None,
                    busy=busy,
                    threads=threads,
                    pickle_s=self._pickle_s(),
                )
        return self._profile(alone, first)

    def _is_unclear(self, profile: TaskProfile, constraints: Callable[[], Constraints]) -> bool:
        """Whether more time alone can show that a pool is worth its start."""
        if profile.tasks or self._is_over:
            return False
        return choose(profile, constraints()).backend == "sequential"

    def _measure_one(self, seconds: float) -> tuple[float, float | None]:
        """How busy one thread keeps a CPU, or would; and its share of time with the GIL."""
        queued, began_s = self._threads.queued_s(), monotonic()
        cpu_s = self._threads.cpu_s()
        samples, waits, ends_s = 0, 0, began_s + seconds
        while not self._is_over and monotonic() < ends_s:
            samples += 1
            waits += _sample_gil()
            self._is_over = self._threads.size == 0 or not self._items.has_more
        took_s = max(1e-6, monotonic() - began_s)
        alone = (
            self._threads.cpu_s() - cpu_s + max(0.0, self._threads.queued_s() - queued)
        ) / took_s
        return alone, waits / samples if samples >= _LEAST_SAMPLES else None

    def _measure_busy(self, seconds: float) -> float:
        """How many CPUs the threads keep busy, over about that time."""
        cpu_s, began_s = self._threads.cpu_s(), monotonic()
        self._is_over = self._threads.wait(seconds) or not self._items.has_more
        took_s = monotonic() - began_s
        return (self._threads.cpu_s() - cpu_s) / max(1e-6, took_s)

    def _profile(
        self, alone: float, first: tuple[float, float] | None, gil_held: float | None = None
    ) -> TaskProfile:
        so_far_s = monotonic() - self._began_s
        cpu_s = so_far_s * min(1.0, alone)
        seen = TaskProfile(
            0, so_far_s, cpu_s, busy_alone=alone, pickle_s=self._pickle_s(), gil_held=gil_held
        )
        ended = first or self._timings.mean(least=1)
        if ended is None:
            return seen
        wall_s, cpu_s = ended
        # What runs now may be unlike what has ended.
        is_unlike = first is not None and abs(alone - cpu_s / max(wall_s, 1e-9)) > _UNLIKE
        seen = seen.with_times(self._timings.count, wall_s, cpu_s, beside=True)
        return replace(seen, is_uneven=is_unlike or self._timings.is_uneven)

    def _pickle_s(self) -> float:
        """How long it takes to pickle an item and a value; 0 if they cannot be pickled."""
        began_s = monotonic()
        with contextlib.suppress(Exception):
            sent = pickle.dumps((self._batch.spec.items[0], self._timings.value))
            pickle.loads(sent)  # noqa: S301  # our own, a moment old
        return monotonic() - began_s


def _sample_gil() -> bool:
    """Sleep, then return whether this thread had to wait for the GIL when it woke up.

    The holder is asked to release it after a switch interval, so what is shorter than half of that
    is the kernel's own delay. Waiting for a CPU is not waiting for the GIL.
    """
    thread = threading.get_native_id()
    queued, began_s = queued_s(thread), monotonic()
    sleep(_SAMPLE_EVERY_S)
    late_s = monotonic() - began_s - _SAMPLE_EVERY_S
    return late_s > sys.getswitchinterval() / 2 + max(0.0, queued_s(thread) - queued)
