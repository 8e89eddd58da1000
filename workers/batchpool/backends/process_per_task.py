"""One multiprocessing.Process per task, as in the notebook."""

import logging
import multiprocessing
import signal
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from time import monotonic_ns, sleep

from batchpool.backends.base import Batch
from batchpool.backends.child_backend import TURN_S, ChildBackend
from batchpool.backends.item_source import ItemSource
from batchpool.children.child import BatchOrder, ChildSetup, run_alone
from batchpool.children.monitor import ChildHandle, ChildMonitor
from batchpool.children.start_methods import (
    check_fork_is_safe,
    start_fork_server,
    without_main_module,
)
from batchpool.errors import ChildStartFailed
from batchpool.model import TaskError
from batchpool.system.limits import limit_behind, limit_of_exit
from batchpool.system.out_of_memory import OomKills

CRASHES_ALLOWED = 3
"""An item that crashed its process this often, alone in it, is given up."""
_STARTS_ALLOWED = 5
_RESTART_S = 0.02
_LINGER_NS = 1_000_000_000


@dataclass(frozen=True)
class _Sent:
    """The item that a process was started for, and when."""

    index: int
    sent_ns: int


class ProcessPerTask(ChildBackend):
    """Runs each item in a process of its own, with never more than `concurrency` alive.

    Where no more processes can be started it goes on with those that there are.
    An item whose process dies under it is run again; after three deaths it is recorded as
    `crashed`. A process that does not end within a second after its item is killed.
    """

    def __init__(self, batch: Batch, order: BatchOrder | None = None) -> None:
        super().__init__(batch, order)
        self._items: ItemSource
        self._sent: dict[ChildHandle, _Sent] = {}
        self._answered_ns: dict[ChildHandle, int] = {}
        self._crashes: Counter[int] = Counter()
        self._failed_starts = 0
        self._most = batch.concurrency
        self._is_full = False
        self._oom_kills = OomKills()
        self._context = multiprocessing.get_context(batch.run.start_method)

    def __enter__(self) -> "ProcessPerTask":
        super().__enter__()
        context = self.batch.context
        if self.batch.run.start_method == "fork":
            context.pools.close()
        path = context.folder / f"alone-{context.next_number()}.socket"
        self._monitor = ChildMonitor(path)
        self._setup = ChildSetup(context.registry.sources, context.folder, path, logging.root.level)
        return self

    def __exit__(self, *exc: object) -> None:
        try:
            self._kill(self._sent)
        finally:
            self._monitor.close()
            super().__exit__(*exc)

    @property
    def effective_concurrency(self) -> int:
        return self._most

    def run(self, items: ItemSource) -> None:
        self._items = items
        while self._sent or (items.has_more and not self.batch.stop_flag.closed):
            while len(self._sent) < self._most and self._may_start and (taken := items.take(1)):
                self._start(taken[0])
            self.poll(self._monitor, items.pause_s(TURN_S))
            self._end_lingering()

    def on_death(self, child: ChildHandle) -> None:
        sent = self._sent.pop(child)
        index = sent.index
        self._is_full = False
        self._answered_ns.pop(child, None)
        assert child.process is not None
        running = child.running
        child.process.join()
        if self._has_outcome(sent):
            self._failed_starts = 0
        elif child.killed_index is not None:
            self.time_out(child)
        elif running is None:
            # It died before its item began: the item is not to blame.
            self._items.give_back((index,))
            if limit := limit_of_exit(child.process.exitcode, self.batch.context.folder):
                self._do_with_fewer(limit)
            else:
                self._count_failed_start(f"a new process {how_it_ended(child)}")
        else:
            self._count_crash(child, index)
        child.process.close()

    @property
    def _may_start(self) -> bool:
        return not (self.batch.stop_flag.closed or self._is_full)

    def _has_outcome(self, sent: _Sent) -> bool:
        return not self.batch.outcomes.unanswered((sent.index,), sent.sent_ns)

    def _start(self, index: int) -> None:
        process: BaseProcess | None = None
        sent = _Sent(index, monotonic_ns())
        try:
            process = self._start_process(index)
            self._sent[self._monitor.watch(process)] = sent
        except (OSError, EOFError, MemoryError) as refusal:
            # EOFError: the fork server has died, or refused. Then the next start finds a new one.
            if process is not None:
                process.kill()
                process.join()
            self._items.give_back((index,))
            if limit := limit_behind(refusal, self.batch.context.folder):
                self._do_with_fewer(limit)
            elif self._sent:
                self._is_full = True
            else:
                self._count_failed_start(f"a new process could not be started: {refusal!r}")

    def _start_process(self, index: int) -> BaseProcess:
        method, context = self.batch.run.start_method, self.batch.context
        if method == "fork":
            check_fork_is_safe()
        elif method == "forkserver":
            start_fork_server(context.registry.sources, context.folder)
        process: BaseProcess = self._context.Process(  # type: ignore[attr-defined]
            target=run_alone,
            args=(self._setup, self.order, index, self.batch.item(index)),
            name=f"item-{index}",
            daemon=False,
        )
        with without_main_module():
            process.start()
        return process

    def _do_with_fewer(self, limit: str) -> None:
        if self._sent:
            self._most = len(self._sent)
        else:
            self._most = 1
            self._count_failed_start(f"there is no room for a process: {limit}")

    def _count_failed_start(self, why: str) -> None:
        self._failed_starts += 1
        if self._failed_starts >= _STARTS_ALLOWED:
            begun = [sent.index for sent in self._sent.values()]
            unanswered = self.batch.outcomes.unanswered([*begun, *self._items.take(sys.maxsize)])
            raise ChildStartFailed(why, unanswered)
        # A fork server that was killed refuses for some milliseconds before it counts as dead.
        self.tick()
        sleep(_RESTART_S * self._failed_starts)

    def _count_crash(self, child: ChildHandle, index: int) -> None:
        self._crashes[index] += 1
        if self._crashes[index] < CRASHES_ALLOWED:
            self._items.give_back((index,))
            return
        code = None if child.process is None else child.process.exitcode
        how = how_it_ended(child) + self._oom_kills.note(code)
        message = f"the process that ran it alone {how}; {CRASHES_ALLOWED} times in all"
        error = TaskError(type="crashed", message=message, traceback=None)
        self.add_outcome_for(child, index, "crashed", error)

    def _end_lingering(self) -> None:
        now_ns = monotonic_ns()
        for child, sent in self._sent.items():
            if self._has_outcome(sent):
                since_ns = self._answered_ns.setdefault(child, now_ns)
                if now_ns - since_ns > _LINGER_NS and child.process is not None:
                    child.process.kill()

    def _kill(self, children: Iterable[ChildHandle]) -> None:
        alive = [child.process for child in children if child.process is not None]
        for process in alive:
            process.kill()
        for process in alive:
            process.join()


def how_it_ended(child: ChildHandle) -> str:
    """Describe how a child ended."""
    if child.was_stopped:
        return "was stopped by a signal, and then killed"
    code = None if child.process is None else child.process.exitcode
    if code is None:
        return "ended in an unknown way"
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name} (signal {-code})"
    except ValueError:
        return f"was ended by signal {-code}"
