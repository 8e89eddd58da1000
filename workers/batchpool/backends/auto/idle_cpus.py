"""Add slots while items wait and CPUs are idle: tasks wait more than was expected."""

from math import ceil

from batchpool.backends.auto.cpu_demand import CpuDemand
from batchpool.backends.auto.hybrid import HybridPool
from batchpool.backends.auto.policy import AutoPolicy
from batchpool.backends.auto.resizable_threads import ResizableThreads
from batchpool.backends.item_source import ItemSource

_BELOW = 0.75
"""With a smaller share of the usable CPUs in demand, some are idle."""
_BELOW_IN_THREADS = 0.5
"""Less than for processes: one more thread costs those that compute more."""
_LEAST_GROWTH, _MOST_GROWTH = 2, 8


class IdleCpus:
    """Has idle CPUs used: by more threads, by all children of a pool, by threads beside them.

    Args:
        cpus: how many this process and its children may use.
        most: how many tasks may be in flight.
    """

    def __init__(self, policy: AutoPolicy, threads: ResizableThreads, cpus: int, most: int) -> None:
        self._policy = policy
        self._threads = threads
        self._cpus = cpus
        self._most = most
        self._demand = CpuDemand()
        self._was_one = False

    def use(self, items: ItemSource, pool: HybridPool | None) -> None:
        """Look whether some are idle; call it now and then.

        Args:
            pool: what runs the items, if it is not threads.
        """
        if not (items.has_ready if pool is None else pool.is_full):
            self._demand.forget()
            return
        # Of several threads some are ready only because others have the GIL.
        is_one = self._threads.size == 1
        if is_one is not self._was_one:
            self._was_one = is_one
            self._demand.forget()
        ready_s = self._threads.queued_s() if is_one else 0.0
        used = self._demand.look([] if pool is None else pool.children, ready_s)
        if used is None:
            return
        cpus, below = float(self._cpus), _BELOW
        if pool is None:
            cpus, below = self._policy.thread_cpus, _BELOW_IN_THREADS
        if used < below * cpus and (slots := self._widen(pool, cpus / max(used, 1e-3))):
            self._policy.widen(slots, used)
            self._demand.forget()

    def _widen(self, pool: HybridPool | None, growth: float) -> int:
        """Add slots; returns how many there are then, 0 if there are no more than before.

        Args:
            growth: so many times as many threads would use all CPUs.
        """
        if pool is not None and (slots := pool.widen(self._most - self._threads.size)):
            return slots
        if pool is not None and self._demand.here >= _BELOW_IN_THREADS:
            # Children wait for this process, or its threads compute.
            return 0
        children = 0 if pool is None else pool.slots
        before = self._threads.size
        growth = min(max(growth, _LEAST_GROWTH), _MOST_GROWTH)
        self._threads.resize(min(self._most - children, ceil(max(before, 1) * growth)))
        return children + self._threads.size if self._threads.size > before else 0
