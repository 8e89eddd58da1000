"""The backend that measures the first items, chooses how to run the rest, and says why."""

import contextlib
from dataclasses import replace
from time import monotonic

from batchpool.backends.auto.cost_model import BackendChoice, Constraints
from batchpool.backends.auto.hybrid import CHECK_EVERY_S, HybridLoop, HybridPool
from batchpool.backends.auto.idle_cpus import IdleCpus
from batchpool.backends.auto.policy import AutoPolicy
from batchpool.backends.auto.probe import Probe
from batchpool.backends.auto.profile_cache import CachedProfile, ProfileCache, profile_key
from batchpool.backends.auto.resizable_threads import ResizableThreads
from batchpool.backends.auto.timings import Timings
from batchpool.backends.base import Batch, InProcess
from batchpool.backends.item_source import ItemSource
from batchpool.children.start_methods import is_fork_server_alive
from batchpool.errors import ChildStartFailed, CodeChanged
from batchpool.model import AutoChoice, RunSpec
from batchpool.system.cpus import usable_cpus
from batchpool.system.file_stamps import is_changed, read_stamps
from batchpool.system.interpreter import gil_enabled, quick_switches

METHOD = "forkserver"
_LONGEST_PAUSE_S = 0.1
"""Or twice as long as tasks took: one that takes far longer must not hold up a change."""


class Auto(InProcess):
    """Starts in threads of this process, measures them, and goes on as its policy chooses.

    Each item runs once, in whatever took it from the shared items; a new choice never interrupts
    a task. What was measured is kept for the next batch of the same kind.

    Args:
        policy: decides; by default by the cost model and what earlier batches measured.
        check_every_s: how often the policy checks its choice.
    """

    shares_items = True

    def __init__(
        self,
        batch: Batch,
        policy: AutoPolicy | None = None,
        check_every_s: float = CHECK_EVERY_S,
    ) -> None:
        super().__init__(batch)
        self._cache = batch.context.kept(ProfileCache)
        self._cpus = usable_cpus()
        self._policy = policy or AutoPolicy(self._cpus, batch.concurrency, self._find_cached())
        self._check_every_s = check_every_s
        self._timings = Timings()
        self._items: ItemSource
        self._probe_s = 0.0
        self._startup_s: float | None = None
        self._checked_s = 0.0
        self._paused_s = 0.0
        # Asked once, before tasks run: to look at a child gives up the GIL, and beside tasks that
        # compute it takes 5 ms to get it back.
        self._warm_children = batch.context.pools.warm_children(METHOD)
        self._hybrid: HybridPool | None = None
        batch.outcomes.add_listener(self._timings.add)

    @property
    def slots(self) -> int:
        # Threads have the first half, coroutines the second: both may run while one takes over.
        return 2 * self.batch.concurrency

    @property
    def effective_concurrency(self) -> int:
        choice = self._policy.choice
        most = self._threads.most if choice.backend == "thread-pool" else choice.concurrency
        return min(choice.concurrency, most)

    @property
    def start_method(self) -> str | None:
        return METHOD if self._policy.choice.backend == "process-pool" else None

    def __enter__(self) -> "Auto":
        self._check_code()
        super().__enter__()
        self.batch.context.has_flush_thread = True
        # Its own slots, not `self.slot`: that would be a cycle, which keeps the batch in memory.
        self._threads = ResizableThreads(self.batch, self.work, self.all_slots.__getitem__)
        most = self.batch.concurrency
        self._idle_cpus = IdleCpus(self._policy, self._threads, self._cpus, most)
        return self

    def __exit__(self, *exc: object) -> None:
        try:
            self._threads.stop()
        finally:
            self.batch.context.has_flush_thread = False
            super().__exit__(None, None, None)

    def _check_code(self) -> None:
        """Refuse to begin in threads what a pool that is started later could not go on with.

        Raises:
            CodeChanged: that pool would load other code than this process has.
        """
        stamps = read_stamps(self.batch.context.folder).get(self.batch.task.module, ())
        if is_changed(stamps) and not is_fork_server_alive():
            raise CodeChanged(f"the code of task {self.batch.task.name!r} has changed")

    def run(self, items: ItemSource) -> None:
        self._items = items
        self._threads.take_from(items)
        while (items.has_more or self._threads.size) and not self.batch.stop_flag.closed:
            if not items.has_more:
                # What still runs may come back.
                self._threads.wait(self._check_every_s)
                continue
            with quick_switches():
                choice = self._next_choice()
            self._timings.clear(elsewhere=choice.backend == "process-pool")
            self._run_as(choice)
            items.paused = False
        self._threads.stop()
        if self._threads.broken is not None:
            raise self._threads.broken
        if (result := self._policy.result(self._timings)) is not None:
            self._cache.keep(self._key, result)
        if self._policy.choice.backend != "process-pool":
            self.pool = None
        self.chosen = self._report()

    def _next_choice(self) -> BackendChoice:
        """What the policy chooses for what is left, after a probe if it needs one."""
        choice = self._policy.next(self._constraints())
        if choice is not None:
            return choice
        self._probe()
        choice = self._policy.next(self._constraints()) if self._items.has_more else None
        if choice is None:
            why = "all items had begun before there was enough to choose by"
            slots = max(1, self._threads.size)
            backend = "thread-pool" if slots > 1 else "sequential"
            choice = BackendChoice(backend, slots, 0.0, why)
            self._policy.adopt(choice)
        return choice

    def _constraints(self) -> Constraints:
        batch = self.batch
        return Constraints(
            left=max(1, len(self._items)),
            cpus=self._cpus,
            most=batch.concurrency,
            pool_startup_s=batch.context.pools.startup_s(METHOD),
            warm_children=self._warm_children,
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

    def _find_cached(self) -> CachedProfile | None:
        return self._cache.find(self._key) if self.batch.spec.items else None

    def _probe(self) -> None:
        began_s = monotonic()
        probe = Probe(self._threads, self._items, self.batch, self._timings, self._cpus)
        self._policy.learn(probe.run(self._constraints))
        self._probe_s += monotonic() - began_s

    def _run_as(self, choice: BackendChoice) -> None:
        """Run what is left as chosen, until none is left or the choice proves wrong."""
        if choice.backend == "process-pool":
            self._run_pool(choice)
        elif choice.backend == "asyncio":
            self._run_loop(choice)
        else:
            self._threads.resize(choice.concurrency)
            while not (self._threads.wait(self._check_every_s) or self._items.paused):
                self._check()

    def _run_pool(self, choice: BackendChoice) -> None:
        # Where no pool is warm, one thread goes on until it is there.
        self._threads.resize(0 if choice.concurrency <= self._warm_children else 1)
        began_s = monotonic()
        with quick_switches():
            pool = HybridPool(
                self._batch_as(choice),
                self._free_pool_slots,
                self._check,
                choice.chunksize,
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
                self._warm_children = pool.executor_pool.size
                self._threads.resize(0)
                self._hybrid = pool
                pool.run(self._items)
            self._hybrid = None

    def _free_slots(self) -> int:
        """How many tasks may be in flight beside the threads that there are."""
        return self.batch.concurrency - self._threads.size

    def _free_pool_slots(self) -> int:
        """The same for a pool: threads that end their items take slots of it.

        But not where tasks wait in between: they do not get in each other's way.
        """
        slots = self._policy.choice.concurrency
        profile = self._policy.profile
        is_saturated = profile is not None and profile.is_saturated
        if is_saturated and not self._policy.is_widened:
            slots = max(1, slots - self._threads.size)
        return min(self._free_slots(), slots)

    def _fall_back(self, failure: ChildStartFailed) -> None:
        why = f"{self._policy.choice.why}; but {failure.why}: run here instead"
        self._policy.adopt(BackendChoice("sequential", 1, 0.0, why))
        self._threads.resize(1)
        while not self._threads.wait(self._check_every_s):
            pass

    def _batch_as(self, choice: BackendChoice) -> Batch:
        run: RunSpec = replace(
            self.batch.run,
            backend=choice.backend,
            concurrency=choice.concurrency,
            start_method=METHOD,
            pool="warm",
            dispatch="map",
            chunksize=None,
        )
        spec = replace(self.batch.spec, run=run)
        return replace(self.batch, spec=spec, concurrency=choice.concurrency)

    def _run_loop(self, choice: BackendChoice) -> None:
        self._threads.resize(0)
        most = self.batch.concurrency
        loop = HybridLoop(
            self._batch_as(choice),
            self._free_slots,
            lambda number: self.slot(most + number),
            self._check,
            self._check_every_s,
        )
        loop.run(self._items)

    def _check(self) -> None:
        """Check the choice now and then; if it is wrong, have no further item taken."""
        now_s = monotonic()
        if now_s - self._checked_s < self._check_every_s:
            return
        self._checked_s = now_s
        if self._items.paused:
            self._end_pause(now_s - self._paused_s)
            return
        if self._policy.choice.backend != "asyncio":
            self._idle_cpus.use(self._items, self._hybrid)
        if self._policy.is_still_right(self._timings, len(self._items), self._constraints):
            return
        if self._policy.profile is None:
            self._cache.forget(self._key)
        # Threads, children and coroutines end their items and return; then `run` goes on.
        self._items.paused, self._paused_s = True, now_s

    def _end_pause(self, lasted_s: float) -> None:
        """Go on as before if a task takes so long that a change would cost more than it saves."""
        wall_s, _ = self._timings.mean(least=1) or (0.0, 0.0)
        if lasted_s > max(_LONGEST_PAUSE_S, 2 * wall_s):
            self._policy.keep()
            self._items.paused = False

    def _report(self) -> AutoChoice:
        choice = self._policy.choice
        times = {"probe_s": self._probe_s, "pool_startup_s": self._startup_s, "cpus": self._cpus}
        return AutoChoice(
            backend=choice.backend,
            concurrency=choice.concurrency,
            chunksize=choice.chunksize,
            measured=times | self._policy.facts(),
            why=choice.why,
        )
