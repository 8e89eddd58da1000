"""Executors kept between batches."""

import gc
import itertools
from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep

from batchpool.children.pools import _RESTART_S, _STARTS_ALLOWED, ExecutorPool, _nothing
from batchpool.errors import ChildStartFailed, LimitReached
from batchpool.ledger.values.announcements import IdlePool
from batchpool.tasks.registry import Registry

UNKNOWN_STARTUP_S = 0.4
"""The expected start-up of a first pool: the fork server starts with it."""


class PoolCache:
    """Makes pools, and keeps one of each kind for the next batch."""

    def __init__(self, registry: Registry, folder: Path, on_idle: Callable[[], None]) -> None:
        self._registry = registry
        self._folder = folder
        self._on_idle = on_idle
        self._kept: dict[str | None, ExecutorPool] = {}
        self._made = itertools.count()
        self._startup_s: dict[str | None, float] = {}
        self.must_restart_because: str | None = None

    @property
    def pids(self) -> set[int]:
        """The processes of the pools that are kept."""
        return {p.pid for pool in self._kept.values() for p in pool.processes if p.pid is not None}

    def idle_pools(self) -> tuple[IdlePool, ...]:
        """The pools that are kept, as the worker announces them."""
        return tuple(
            IdlePool(
                pool.method,
                pool.size,
                tuple(process.pid for process in pool.processes if process.pid is not None),
            )
            for pool in self._kept.values()
        )

    @property
    def threads(self) -> int:
        """How many threads of this process the pools have that are kept."""
        return sum(pool.threads for pool in self._kept.values())

    def startup_s(self, method: str | None) -> float:
        """How long a new pool takes to start: what the last one took."""
        return self._startup_s.get(method, UNKNOWN_STARTUP_S)

    def warm_children(self, method: str | None) -> int:
        """How many children the warm pool has, 0 without one."""
        kept = self._kept.get(method)
        return kept.size if kept is not None and kept.is_usable else 0

    def take(self, method: str | None, size: int, warm: bool) -> tuple[ExecutorPool, bool]:
        """A pool of at least `size` children, and whether it was kept from another batch.

        Where there is no room for so many it has fewer.

        Raises:
            ChildStartFailed: several pools in a row lost a child while they started, or there is
                no room for even one.
            UnsupportedOption: it would have to fork beside other threads.
        """
        if warm and (kept := self._kept.pop(method, None)) is not None:
            if kept.size >= size and kept.is_usable:
                return kept, True
            kept.close()
        if method == "fork":
            self.close()
        is_cramped = False
        while isinstance(pool := self._try_to_make(method, size), LimitReached):
            if size == 1:
                raise ChildStartFailed(str(pool), ())
            size //= 2
            is_cramped = True
        pool.is_cramped |= is_cramped
        return pool, False

    def _try_to_make(self, method: str | None, size: int) -> ExecutorPool | LimitReached:
        """Make a pool, in a few attempts; returns the limit if there is no room for one.

        Raises:
            ChildStartFailed: each attempt lost a child while it started.
        """
        for attempt in range(1, _STARTS_ALLOWED + 1):
            made = self._make(method, size)
            if isinstance(made, ExecutorPool):
                return made
            failure = made
            # A queue whose thread could not be started is in a cycle, and its semaphores with it.
            gc.collect()
            self._on_idle()
            sleep(_RESTART_S * attempt)
            if isinstance(made, LimitReached):
                return made
        raise failure

    def _make(
        self, method: str | None, size: int
    ) -> ExecutorPool | LimitReached | ChildStartFailed:
        """A new pool, or why there is none; an error that was raised would keep the pool alive."""
        pool = ExecutorPool(self._registry, self._folder, f"pool-{next(self._made)}", method)
        began_s = monotonic()
        try:
            # Interpreters run in this process, whose owner flushes from a thread.
            pool.start(size, _nothing if method is None else self._on_idle)
        except LimitReached as limit:
            return LimitReached(str(limit))
        except ChildStartFailed as failure:
            return ChildStartFailed(failure.why, ())
        self._startup_s[method] = monotonic() - began_s
        return pool

    def give_back(self, pool: ExecutorPool, keep: bool, is_idle: bool) -> None:
        """Keep a pool for the next batch if it is usable and idle; else close it."""
        if is_idle:
            pool.unpark()
        # A cramped one would leave no room for the threads of the next batch.
        if keep and is_idle and pool.is_usable and not pool.is_cramped:
            before = self._kept.pop(pool.method, None)
            self._kept[pool.method] = pool
            if before is not None:
                before.close()
            return
        if is_idle:
            pool.close()
        else:
            pool.kill()
        if pool.is_stuck:
            self.must_restart_because = "a task left a thread in an interpreter"

    def close(self) -> None:
        """Close all pools that are kept."""
        while self._kept:
            self._kept.popitem()[1].close()
