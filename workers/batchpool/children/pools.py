"""Pools of processes or interpreters that can be kept for the next batch."""

import concurrent.futures
import contextlib
import itertools
import logging
import multiprocessing
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.process import BaseProcess
from pathlib import Path
from time import monotonic, sleep

from batchpool.children.child import ChildSetup, enter_interpreter, enter_process, park, ready
from batchpool.children.monitor import ChildMonitor
from batchpool.children.parking import Parking
from batchpool.children.start_methods import (
    check_fork_is_safe,
    start_fork_server,
    without_main_module,
)
from batchpool.errors import ChildStartFailed, LimitReached
from batchpool.execution.outbox import outbox_path
from batchpool.system.cpython_internals import (
    executor_feeder,
    executor_manager,
    executor_processes,
    executor_threads,
    is_executor_broken,
)
from batchpool.system.limits import FewerThreads, limit_behind, limit_of_exit
from batchpool.system.process_control import kill_tree
from batchpool.system.process_tree import children_of, is_stopped
from batchpool.tasks.registry import Registry

_CLOSE_GRACE_S = 1.0
_START_POLL_S = 0.04
_STARTS_ALLOWED = 5
_RESTART_S = 0.02
_EXIT_CODE_S = 0.5


class ExecutorPool:
    """An executor whose children all run and have connected.

    Attributes:
        executor: the standard library's own.
        monitor: receives from its children.
        method: how its processes start, or None for interpreters.
        numbers: of chunks; they go up for as long as the pool lives.
        is_stuck: whether it could not be ended; only the end of this process will.
        is_cramped: whether a limit of this machine left no room for as many children as wanted.
    """

    def __init__(self, registry: Registry, folder: Path, name: str, method: str | None) -> None:
        self.method = method
        self.size = 0
        self.numbers = itertools.count(1)
        self.is_stuck = False
        self.is_cramped = False
        self._started: Mapping[int, BaseProcess] = {}
        self.executor: ProcessPoolExecutor | ThreadPoolExecutor
        self.monitor = ChildMonitor(folder / f"{name}.socket")
        self._parking = Parking(folder / f"{name}.parking")
        self._registry = registry
        self._setup = ChildSetup(registry.sources, folder, self.monitor.path, logging.root.level)

    def start(self, size: int, on_idle: Callable[[], None]) -> None:
        """Start all children and wait until each is there.

        Raises:
            LimitReached: there is no room for so many.
            ChildStartFailed: one of them died before that.
            UnsupportedOption: it would have to fork beside other threads.
        """
        self.size = size
        try:
            self._start(on_idle)
        except (OSError, EOFError, RuntimeError, MemoryError) as error:
            # EOFError, ConnectionError: the fork server died meanwhile.
            limit = limit_behind(error, self._setup.folder) or self._limit_of_children()
            self.kill()
            if limit is not None:
                raise LimitReached(f"no room for {size} children of a pool: {limit}") from None
            raise ChildStartFailed(f"the pool died while it started: {error!r}", ()) from None
        except BaseException:
            self.kill()
            raise

    def _start(self, on_idle: Callable[[], None]) -> None:
        if self.method is None:
            self._start_interpreters()
        else:
            self._start_processes(self.method)
        while sum(child.site is not None for child in self.monitor.children) < self.size:
            on_idle()
            if any(event.frame is None for event in self.monitor.poll(_START_POLL_S)):
                raise BrokenProcessPool("a child of the pool died while it started")
        # Its last thread is begun with the first call: without it no call would ever be answered.
        while not self._first.done():
            on_idle()
            if not self.has_manager:
                raise RuntimeError("can't start new thread")
            concurrent.futures.wait([self._first], _START_POLL_S)

    def _limit_of_children(self) -> str | None:
        """The limit that a child named which could not start; the executor ends the others."""
        end = monotonic() + _EXIT_CODE_S
        while True:
            codes = [process.exitcode for process in self._started.values()]
            for code in codes:
                if limit := limit_of_exit(code, self._setup.folder):
                    return limit
            if None not in codes or monotonic() > end:
                return None
            sleep(_START_POLL_S)

    def park(self, children: int) -> None:
        """Keep so many children idle from now on, until `unpark`.

        Raises:
            OSError: no file can be made; then none is kept idle.
        """
        if children > 0 and not self._parking.is_open:
            path = self._parking.open()
            # A broken pool takes no more chunks either.
            with contextlib.suppress(BrokenProcessPool):
                for _ in range(children):
                    self.executor.submit(park, path)

    def unpark(self) -> None:
        """Let all children take calls again."""
        self._parking.close()

    @property
    def is_usable(self) -> bool:
        """Whether all children are alive, and none has a task's thread in it."""
        if is_executor_broken(self.executor):
            return False
        if any(is_stopped(process.pid or 0) for process in self.processes):
            return False
        # All events: an exit that is handled only in part leaves its child in the list.
        list(self.monitor.poll(0))
        children = self.monitor.children
        return len(children) >= self.size and not any(child.has_leaked for child in children)

    @property
    def processes(self) -> list[BaseProcess]:
        """Its processes, none for interpreters."""
        return list(self._started.values())

    @property
    def has_manager(self) -> bool:
        """Whether the thread that passes calls to processes runs; interpreters need none."""
        if isinstance(self.executor, ThreadPoolExecutor):
            return True
        manager = executor_manager(self.executor)
        return manager is not None and manager.is_alive()

    @property
    def threads(self) -> int:
        """How many threads of this process its executor has."""
        if isinstance(self.executor, ThreadPoolExecutor):
            return executor_threads(self.executor)
        threads = executor_manager(self.executor), executor_feeder(self.executor)
        return sum(thread is not None and thread.is_alive() for thread in threads)

    def close(self) -> None:
        """Close it and wait until nothing of it is left; kill what does not end in time."""
        self._end(_CLOSE_GRACE_S)

    def kill(self) -> None:
        """Kill it at once."""
        self._end(0)

    def _start_interpreters(self) -> None:
        executor = _interpreter_executor()(
            self.size, initializer=enter_interpreter, initargs=(self._setup,)
        )
        self.executor = executor
        self._first = executor.submit(ready)
        while executor_threads(executor) < executor.most_threads:
            executor.submit(ready)
        self.is_cramped = executor.most_threads < self.size
        self.size = executor.most_threads

    def _start_processes(self, method: str) -> None:
        if method == "fork":
            check_fork_is_safe()
        elif method == "forkserver":
            start_fork_server(self._registry.sources, self._setup.folder)
        executor = ProcessPoolExecutor(
            self.size,
            mp_context=multiprocessing.get_context(method),
            initializer=enter_process,
            initargs=(self._setup,),
        )
        self.executor = executor
        # Held here: the executor lets go of them when one of them dies.
        self._started = executor_processes(executor)
        with without_main_module():
            self._first = executor.submit(ready)
            while len(self._started) < self.size:
                executor.submit(ready)
        for process in self._started.values():
            self.monitor.watch(process)

    def _end(self, grace_s: float) -> None:
        executor = getattr(self, "executor", None)
        if isinstance(executor, ProcessPoolExecutor):
            self._end_processes(executor, grace_s)
        elif executor is not None:
            # A thread that a task left in an interpreter would be waited for here.
            self.is_stuck = any(child.has_leaked for child in self.monitor.children)
            executor.shutdown(wait=False, cancel_futures=True)
            self.unpark()
            executor.shutdown(wait=not self.is_stuck, cancel_futures=True)
        self.monitor.close()

    def _end_processes(self, executor: ProcessPoolExecutor, grace_s: float) -> None:
        processes = self.processes
        # What tasks left below them would be orphans in a moment, and hard to find.
        for process in processes:
            for stray in children_of(process.pid or 0):
                kill_tree(stray)
        if grace_s == 0:
            _kill_all(processes)
        # Not before: they would take what still waits in the queue.
        self.unpark()
        manager = executor_manager(executor) if self.has_manager else None
        executor.shutdown(wait=False, cancel_futures=True)
        if manager is not None:
            manager.join(grace_s or None)
        _kill_all(processes)
        if manager is not None:
            manager.join()
        for process in processes:
            process.join()
            # The monitor does not know those that it does not watch yet.
            outbox_path(self._setup.folder, process.pid or 0).unlink(missing_ok=True)


def _interpreter_executor() -> type[FewerThreads]:
    standard = concurrent.futures.InterpreterPoolExecutor  # type: ignore[attr-defined,unused-ignore]
    return type("InterpreterPoolExecutor", (FewerThreads, standard), {})


def _kill_all(processes: list[BaseProcess]) -> None:
    for process in processes:
        if process.is_alive():
            process.kill()


def _nothing() -> None:
    pass
