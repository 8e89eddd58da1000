"""The backend that looks at the first items, chooses how to run the rest, and says why."""

import contextlib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from time import monotonic

from batchpool.backends.auto.cost_model import (
    BackendChoice,
    Constraints,
    TaskProfile,
    choose,
    choose_without_probe,
)
from batchpool.backends.auto.hybrid import CHECK_EVERY_S, HybridLoop, HybridPool
from batchpool.backends.auto.probe import Probe, Timings
from batchpool.backends.auto.profile_cache import CachedProfile, profile_key
from batchpool.backends.auto.resizable_threads import ResizableThreads
from batchpool.backends.auto.shared_items import SharedItems
from batchpool.backends.base import Batch, InProcess
from batchpool.errors import ChildStartFailed
from batchpool.model import AutoChoice, RunSpec
from batchpool.system.cpus import usable_cpus
from batchpool.system.interpreter import gil_enabled

METHOD = "forkserver"
_OFF_BY = 2.0
_MORE = 1.5
_WORTH_WALL_S = 0.005
_WORTH_CPU_S = 0.001
"""Tasks that differ by less are not looked at again."""
_PROBES_ALLOWED = 4
_SWITCH_S = 0.0005


class Auto(InProcess):
    """Begins with threads of this process, measures them, and goes on the way that pays.

    Each item runs once, in whatever lane took it from the one feed; changing the way never
    interrupts a task. What was measured is remembered by the station for the next batch of the
    same kind, and measured anew when tasks take twice as long as they did, or half.
    """

    def __init__(self, batch: Batch) -> None:
        super().__init__(batch)
        self._timings = Timings()
        self._choice = BackendChoice("sequential", 1, 0.0, "there was nothing to run")
        self._cached: CachedProfile | None = None
        self._profile: TaskProfile | None = None
        self._is_known = False
        self._probes = 0
        self._probe_s = 0.0
        self._startup_s: float | None = None
        self._expected_s: float | None = None
        self._watched_s = 0.0
        self._has_failed = False
        self._pool_children = 0
        self._cpus = usable_cpus()
        self._items = SharedItems(())
        batch.outcomes.add_listener(self._timings.add)

    @property
    def slots(self) -> int:
        # Threads have the first half, coroutines the second: both may run while one takes over.
        return 2 * self.batch.concurrency

    @property
    def effective_concurrency(self) -> int:
        choice = self._choice
        most = self._threads.most if choice.backend == "thread-pool" else choice.concurrency
        return min(choice.concurrency, most)

    @property
    def start_method(self) -> str | None:
        return METHOD if self._choice.backend == "process-pool" else None

    def __enter__(self) -> "Auto":
        super().__enter__()
        self.batch.context.has_flush_thread = True
        # Its own slots, not `self.slot`: that would be a cycle, which keeps the batch in memory.
        self._threads = ResizableThreads(self.batch, self.work, self.in_flight.slot)
        return self

    def __exit__(self, *exc: object) -> None:
        try:
            self._threads.stop()
        finally:
            self.batch.context.has_flush_thread = False
            super().__exit__(None, None, None)

    def run(self, indices: Sequence[int]) -> None:
        self._items = SharedItems(indices)
        self._threads.take_from(self._items)
        while self._items and not self.batch.stop_flag.closed:
            self._choice = self._settle()
            self._has_failed = False
            self._timings.clear(elsewhere=self._choice.backend == "process-pool")
            self._carry_out()
            self._items.paused = False
        self._threads.stop()
        if self._threads.broken is not None:
            raise self._threads.broken
        self._remember()
        self.chosen = self._report()

    def _settle(self) -> BackendChoice:
        """The way for what is left: there is only one, or it is known, or a probe shows it."""
        only = choose_without_probe(self._constraints())
        if only is not None:
            return only
        if self._profile is None:
            self._recall()
        if self._profile is None or not self._profile.is_complete:
            self._probe()
        assert self._profile is not None
        if not self._items:
            why = "all items had begun before there was enough to choose by"
            slots = max(1, self._threads.size)
            return BackendChoice("thread-pool" if slots > 1 else "sequential", slots, 0.0, why)
        return choose(self._profile, self._constraints())

    def _constraints(self) -> Constraints:
        batch = self.batch
        return Constraints(
            left=max(1, len(self._items)),
            cpus=self._cpus,
            most=batch.concurrency,
            pool_startup_s=batch.context.pools.startup_s(METHOD),
            warm_children=self._pool_children or batch.context.pools.warm_children(METHOD),
            has_sync=batch.task.run is not None,
            has_async=batch.task.run_async is not None,
            has_gil=gil_enabled(),
            only_waits=batch.task.bound == "io",
        )

    @property
    def _key(self) -> str:
        batch = self.batch
        version = batch.context.registry.version
        return profile_key(batch.task.name, version, batch.run.params, batch.spec.items[0])

    def _recall(self) -> None:
        self._cached = self.batch.context.memory.find(self._key)
        if self._cached is not None:
            self._profile = self._cached.profile
            self._is_known = True

    def _probe(self) -> None:
        began_s = monotonic()
        self._probes += 1
        self._is_known = False
        probe = Probe(self._threads, self._items, self.batch, self._timings, self._cpus)
        with _quick_switches():
            self._profile = probe.run(self._constraints)
        self._cached = None
        self._probe_s += monotonic() - began_s

    def _carry_out(self) -> None:
        """Run what is left as chosen, until none is or the choice proves wrong."""
        choice = self._choice
        walls_s = {} if self._cached is None else self._cached.walls_s
        self._expected_s = walls_s.get((choice.backend, choice.concurrency))
        if choice.backend == "process-pool":
            self._run_pool()
        elif choice.backend == "asyncio":
            self._run_loop()
        else:
            self._threads.resize(choice.concurrency)
            while not (self._threads.wait(CHECK_EVERY_S) or self._has_failed):
                self._watch()

    def _run_pool(self) -> None:
        # One lane goes on while the pool starts; it ends its item when the pool is there.
        self._threads.resize(1)
        began_s = monotonic()
        with _quick_switches():
            pool = HybridPool(
                self._batch_as(METHOD),
                self._items,
                self._free_pool_slots,
                self._watch,
                self._choice.chunksize,
            )
            try:
                pool.__enter__()
            except ChildStartFailed as failure:
                self._fall_back(failure)
                return
            with contextlib.ExitStack() as stack:
                stack.push(pool)
                self._startup_s = monotonic() - began_s
                self.pool = pool.pool
                self._pool_children = pool.executor_pool.size
                self._threads.resize(0)
                pool.run(self._items)
            self._pool_children = 0

    def _free_slots(self) -> int:
        """How many tasks may be in flight beside the threads that there are."""
        return self.batch.concurrency - self._threads.size

    def _free_pool_slots(self) -> int:
        """The same for a pool: threads that end their items have the place of its lanes.

        But for tasks that wait in between, which are not in each other's way.
        """
        slots = self._choice.concurrency
        if self._profile is not None and self._profile.is_saturated:
            slots = max(1, slots - self._threads.size)
        return min(self._free_slots(), slots)

    def _fall_back(self, failure: ChildStartFailed) -> None:
        why = f"{self._choice.why}; but {failure.why}: run here instead"
        self._choice = BackendChoice("sequential", 1, 0.0, why)
        while not self._threads.wait(CHECK_EVERY_S):
            pass

    def _batch_as(self, method: str) -> Batch:
        choice = self._choice
        run: RunSpec = replace(
            self.batch.run,
            backend=choice.backend,
            concurrency=choice.concurrency,
            start_method=method,
            pool="warm",
            dispatch="map",
            chunksize=None,
        )
        spec = replace(self.batch.spec, run=run)
        return replace(self.batch, spec=spec, concurrency=choice.concurrency)

    def _run_loop(self) -> None:
        self._threads.resize(0)
        most = self.batch.concurrency
        loop = HybridLoop(
            self._batch_as(METHOD),
            self._free_slots,
            lambda number: self.slot(most + number),
            self._watch,
        )
        loop.run(self._items)

    def _watch(self) -> None:
        """See now and then whether tasks take what was expected; if not, hold the feed."""
        now_s = monotonic()
        if now_s - self._watched_s < CHECK_EVERY_S:
            return
        self._watched_s = now_s
        # Towards the end another way could not make up for the change.
        is_late = len(self._items) < 2 * self._choice.concurrency
        if is_late or self._probes >= _PROBES_ALLOWED or self._profile is None:
            return
        if self._profile.tasks == 0:
            self._refine(self._profile)
        else:
            self._check(self._profile)

    def _refine(self, measured: TaskProfile) -> None:
        """Put times of whole tasks in the place of those of unfinished ones; they may show more."""
        seen = self._timings.median(least=1)
        if seen is None:
            return
        self._profile = self._finish(measured, *seen)
        better, slots = choose(self._profile, self._constraints()), self._choice.concurrency
        if better.backend != self._choice.backend or better.concurrency > _MORE * slots:
            self._pause()

    def _finish(self, measured: TaskProfile, wall_s: float, cpu_s: float) -> TaskProfile:
        choice = self._choice
        if choice.backend == "process-pool" and choice.concurrency <= self._cpus:
            wall_s, cpu_s = self._timings.alone() or (wall_s, cpu_s)
            return measured.with_times(self._timings.count, wall_s, cpu_s, beside=False)
        return measured.with_times(self._timings.count, wall_s, cpu_s, beside=True)

    def _check(self, measured: TaskProfile) -> None:
        seen = self._timings.median(least=max(3, 2 * self._choice.concurrency))
        if seen is None:
            return
        wall_s, cpu_s = seen
        if self._expected_s is None:
            self._expected_s = wall_s
        # With as many lanes as are allowed, tasks that wait longer would get no more of them.
        has_more = self._choice.concurrency < self.batch.concurrency
        is_off = has_more and _differ(wall_s, self._expected_s, _WORTH_WALL_S)
        if is_off or _differ(cpu_s, measured.task_cpu_s, _WORTH_CPU_S):
            self.batch.context.memory.forget(self._key)
            self._profile = None
            self._cached = None
            self._pause()

    def _pause(self) -> None:
        """Have lanes end their items and take no more: the choice is to be made anew."""
        self._has_failed = True
        self._items.paused = True

    def _remember(self) -> None:
        seen = self._timings.median(least=1)
        if self._profile is not None and self._profile.tasks == 0 and seen is not None:
            self._profile = self._finish(self._profile, *seen)
        if self._profile is None or not self._profile.is_complete:
            return
        remembered = self._cached or CachedProfile(self._profile)
        if seen is not None:
            way = (self._choice.backend, self._choice.concurrency)
            remembered.walls_s.setdefault(way, seen[0])
        self.batch.context.memory.keep(self._key, remembered)

    def _report(self) -> AutoChoice:
        choice, measured = self._choice, self._profile
        facts: dict[str, object] = {
            "remembered": self._is_known,
            "probes": self._probes,
            "probe_s": self._probe_s,
            "pool_startup_s": self._startup_s,
            "cpus": self._cpus,
        }
        if measured is not None:
            facts |= measured.to_json()
        return AutoChoice(
            backend=choice.backend,
            concurrency=choice.concurrency,
            chunksize=choice.chunksize,
            measured=facts,
            why=choice.why,
        )


def _differ(one_s: float, other_s: float, least_s: float) -> bool:
    high_s, low_s = max(one_s, other_s), min(one_s, other_s)
    return high_s > _OFF_BY * low_s and high_s - low_s > least_s


@contextlib.contextmanager
def _quick_switches() -> Iterator[None]:
    # Else each time that this thread wants the GIL beside tasks that compute takes 5 ms per
    # thread: a look of 25 ms lasts 200.
    before_s = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_S)
    try:
        yield
    finally:
        sys.setswitchinterval(before_s)
