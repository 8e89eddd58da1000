"""What a runner keeps between batches: task registry, temp folder, warm pools, stop flag."""

import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from types import TracebackType
from typing import Any, Self, TypeVar

from batchpool.children.pool_cache import PoolCache
from batchpool.children.start_methods import multiprocessing_helper_pids, stop_helpers
from batchpool.errors import ContextClosed
from batchpool.execution.finished_records import FINISHED_NAME, FinishedRecords
from batchpool.execution.in_flight import IN_FLIGHT_NAME, InFlightTable, is_any_in_flight
from batchpool.execution.stop_flag import StopFlag
from batchpool.system.cpython_internals import count_threads, fork_server_pid
from batchpool.system.package_threads import PackageThreads
from batchpool.system.process_control import become_subreaper, kill_orphans
from batchpool.system.process_tree import has_children, is_stopped
from batchpool.system.semaphores import name_semaphores, remove_semaphores
from batchpool.system.temp_folders import make_temp_folder
from batchpool.tasks.registry import Registry, load_tasks

T = TypeVar("T")
_THREAD_GRACE_S = 0.1
_PROCESS_GRACE_S = 0.1


def _nothing() -> None:
    pass


class RunnerContext:
    """Runs one batch at a time, for as long as its process lives; use it as a context manager.

    Promises: after `close()` nothing of it is left, no process, thread or file. `drain()` may
    be called from any thread and from a signal handler. `on_idle` is called at least every 50 ms
    by the backends that run in a process without other threads, from the thread that runs
    the batch, and never by the others.

    Attributes:
        registry: the tasks.
        in_flight: the items that run in this process, see `read_in_flight_table`.
        finished: the last records that were made in this process, see `read_finished`.
        folder: a private folder for sockets and mapped files; made here unless one is given.
        must_restart_because: why this process must be replaced after the batch, or None. A
            task left something in it that cannot be removed, a thread.
        leftovers: what tasks of this batch left behind, and what became of it, for its report.
        has_begun: once an error has ended a batch, whether one of its items ran then.
        has_flush_thread: whether the batch runs tasks in this process too, so that a thread of
            the owner flushes instead of `on_idle`.
        on_tick: what the batch wants done from time to time; called before each `on_idle`, or by
            that thread.
    """

    def __init__(
        self,
        registry: Registry | None = None,
        *,
        folder: Path | None = None,
        on_idle: Callable[[], None] = _nothing,
        owns_process: bool = False,
    ) -> None:
        """Args:
        registry: what `load_tasks` gave; by default the built-in tasks and entry points.
        folder: where to put files, mode 0700; its maker removes it, whatever happens here.
            Its path has at most 80 bytes: a socket lies in it.
        on_idle: see above.
        owns_process: the process serves this context only. Then orphans become its
            children, every process that tasks leave behind is killed after the batch, and
            when the process was killed, `remove_semaphores(folder)` removes what it left.
        """
        self.registry = registry or load_tasks()
        self.on_idle = on_idle
        self.on_tick: Callable[[], None] = _nothing
        self.must_restart_because: str | None = None
        self.leftovers: list[str] = []
        self._package_threads = PackageThreads()
        self.has_begun = False
        self.owns_process = owns_process
        self._made_folder = folder is None
        self.folder = folder or make_temp_folder("batchpool-")
        self.pools = PoolCache(self.registry, self.folder, self.call_on_idle)
        self.in_flight = InFlightTable(self.folder / IN_FLIGHT_NAME)
        self.finished = FinishedRecords(self.folder / FINISHED_NAME)
        self._kept: dict[type, Any] = {}
        self.has_flush_thread = False
        self._numbers = itertools.count(1)
        self._has_found_server = fork_server_pid() is not None
        if owns_process:
            become_subreaper()
            name_semaphores(self.folder)
        self._stop_flag: StopFlag | None = None
        self._draining = False
        self._closed = False

    def drain(self) -> None:
        """Take no further item, in this batch and in later ones; running items may finish."""
        # Attributes only: the thread that a signal interrupts could hold a lock.
        self._draining = True
        if self._stop_flag is not None:
            self._stop_flag.close("drained")

    def new_stop_flag(self) -> StopFlag:
        """The stop flag of the next batch.

        Raises:
            ContextClosed: `close()` was called.
        """
        if self._closed or not os.path.isdir(self.folder):
            raise ContextClosed("the runner context is closed; make a new one")
        stop_flag = StopFlag()
        self.has_begun = False
        self._stop_flag = stop_flag
        if self._draining:
            stop_flag.close("drained")
        return stop_flag

    @contextmanager
    def note_begun(self) -> Iterator[None]:
        """Note whether an item runs when an error ends the batch, before the table is removed."""
        try:
            yield
        except BaseException:
            self.has_begun = self.has_begun or is_any_in_flight(self.folder)
            raise

    def next_number(self) -> int:
        """A number that this context has not given before."""
        return next(self._numbers)

    def kept(self, kind: type[T]) -> T:
        """The one object of this class that a backend keeps between batches, made if missing."""
        if kind not in self._kept:
            self._kept[kind] = kind()
        found: T = self._kept[kind]
        return found

    @property
    def package_threads(self) -> int:
        """How many threads of packages go on in this process; a fork beside them is not safe."""
        return self._package_threads.count

    def count_threads(self) -> int:
        """The threads of this process besides the main one, those of warm pools and packages."""
        return count_threads() - self.pools.threads - self.package_threads

    def check_leaks(self, threads_before: int | None) -> None:
        """Kill processes that tasks left below this one, and check whether they left a thread.

        Args:
            threads_before: `count_threads()` before the batch, if tasks ran in this process.
        """
        if threads_before is not None:
            self._check_threads(threads_before)
        self.must_restart_because = self.must_restart_because or self.pools.must_restart_because
        if self.owns_process and has_children():
            killed = kill_orphans(self.pools.pids | multiprocessing_helper_pids(), _PROCESS_GRACE_S)
            if killed:
                # A module may keep a helper process in a global: without it the next job of that
                # module would fail, so its process goes with it.
                some = [f"{pid} ({command[:80]})" for pid, command in list(killed.items())[:10]]
                why = f"processes that tasks left running were ended: {', '.join(some)}"
                self.must_restart_because = self.must_restart_because or why

    def check_surroundings(self) -> None:
        """See whether tasks have removed the folder, or stopped a helper process."""
        if not os.path.isdir(self.folder):
            self.must_restart_because = self.must_restart_because or "its folder is gone"
        stopped = sorted(filter(is_stopped, multiprocessing_helper_pids()))
        if stopped:
            why = f"processes {stopped} of multiprocessing were stopped"
            self.must_restart_because = self.must_restart_because or why

    def _check_threads(self, before: int) -> None:
        end = monotonic() + _THREAD_GRACE_S
        while (left := self.count_threads() - before) > 0:
            if names := self._package_threads.explain(left):
                self.leftovers += [f"{name} goes on" for name in names]
            elif monotonic() > end:
                self.must_restart_because = f"{left} threads of tasks still run in this process"
                return
            sleep(0.002)

    def call_on_idle(self) -> None:
        """Call the owner's `on_idle`, unless a flush thread runs."""
        if not self.has_flush_thread:
            self.tick()

    def tick(self) -> None:
        """Do what is due for the batch, and for the owner."""
        self.on_tick()
        self.on_idle()

    def close(self) -> None:
        """Close the warm pools, and remove the folder if it was made here."""
        if not self._closed:
            self._closed = True
            self.pools.close()
            self.in_flight.close()
            self.finished.close()
            if not self._has_found_server:
                stop_helpers(tracker_too=self.owns_process)
            if self.owns_process:
                # Those that no tracker knows: it could not be started.
                remove_semaphores(self.folder)
                name_semaphores(None)
            if self._made_folder:
                shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        frames: TracebackType | None,
    ) -> None:
        self.close()
