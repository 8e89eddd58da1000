"""The inside of a child: a process of a pool, a process for one item, or an interpreter."""

import contextlib
import marshal
import multiprocessing
import os
import pickle
import sys
import threading
import traceback
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from time import monotonic_ns
from typing import Any, NamedTuple

from batchpool.children.channel import ChannelWriter, FrameKind, to_record
from batchpool.children.parking import wait_while_locked
from batchpool.children.signals import end_now, reset_signals
from batchpool.errors import CodeChanged, LimitReached
from batchpool.execution import forks, item_output
from batchpool.execution.finished_records import NoRecords
from batchpool.execution.generators import reseed_generators
from batchpool.execution.outbox import NOT_YET_NS, Outbox, outbox_path, pack_record
from batchpool.execution.run_item import Work, current_site, run_items
from batchpool.execution.shared_sum import FileSum, SharedSum, child_sum
from batchpool.execution.slot import Row, Slot
from batchpool.execution.stop_flag import StopFlag
from batchpool.model import ExecutionSite, Outcome
from batchpool.system.cpython_internals import count_threads
from batchpool.system.interpreter_state import InterpreterState
from batchpool.system.limits import exit_status_of, start_thread
from batchpool.system.package_threads import PackageThreads
from batchpool.system.process_control import die_with_parent
from batchpool.system.process_state import ProcessState, Restorable, restore
from batchpool.tasks.decorator import Task
from batchpool.tasks.registry import find_task
from batchpool.tasks.sources import TaskSources
from batchpool.tasks.user_modules import is_current

_SEND_AT_ONCE_NS = 2_000_000
_SEND_AFTER_NS = 20_000_000
_ERROR, _START, _WALL = map(Outcome._fields.index, ("error", "started_ns", "wall_ns"))


class ChildSetup(NamedTuple):
    """What every child of a runner needs; sent once per child."""

    sources: TaskSources
    folder: Path
    socket_path: Path
    log_level: int


class BatchOrder(NamedTuple):
    """What every item of a batch needs; sent with each chunk, so it is small."""

    number: int
    task: str
    module: str
    params: bytes | None
    """Pickled, among processes of one tree; nothing from Redis is ever unpickled."""
    shared_sum: str
    sum_path: Path
    stop_on_failure: bool
    job_id: str
    keeps_logs: bool


class Child:
    """This process or interpreter as a runner of tasks."""

    def __init__(self, setup: ChildSetup) -> None:
        forks.adopt()
        if current_site().interpreter == 0 and multiprocessing.parent_process() is not None:
            # A task that kills its process group ends this child, and neither runner nor siblings.
            os.setpgid(0, 0)
        item_output.install(setup.log_level)
        self._sources = setup.sources
        self._folder = setup.folder
        self.site: ExecutionSite = current_site()
        self.outbox = Outbox(outbox_path(setup.folder, self.site.pid, self.site.interpreter))
        item_output.item_logs.show = self.outbox.show_log
        self.channel = ChannelWriter(setup.socket_path)
        self.channel.send(FrameKind.HELLO, 0, marshal.dumps(tuple(self.site)))
        self.threads = 0
        self._package_threads = PackageThreads()
        self.states: tuple[Restorable, ...] = ()
        self._order_number = -1
        self._has_own_numbers = False
        self._work: Work
        self._sum: SharedSum | None = None
        self._sent_ns = monotonic_ns()

    def work_for(self, order: BatchOrder) -> Work:
        """The function of a batch, made once per batch; module globals of its sum start anew."""
        if order.number != self._order_number:
            self._restore_state()
            task = self._find(order)
            assert task.run is not None
            # Only our own parent process calls this.
            args = () if order.params is None else (pickle.loads(order.params),)  # noqa: S301
            if isinstance(self._sum, FileSum):
                self._sum.close()
            self._sum = child_sum(order.shared_sum, order.sum_path)
            add = None if self._sum is None else self._sum.add
            self._work = Work(task.run, StopFlag(), args, add)
            self._order_number = order.number
            item_output.begin_batch(order.job_id, order.keeps_logs)
        return self._work

    def _restore_state(self) -> None:
        if self._order_number != -1 and (left := restore(self.states)):
            # No item has begun: the supervisor makes another pool.
            with contextlib.suppress(BaseException):
                sys.stderr.write(f"child {self.site.pid} ends before the next batch: {left}\n")
                sys.stderr.flush()
            end_now()

    def _find(self, order: BatchOrder) -> Task:
        try:
            task = find_task(self._sources, order.task, order.module)
        except Exception as error:
            if not is_current(order.module, self._folder):
                raise CodeChanged(order.module) from error
            raise
        if not is_current(order.module, self._folder):
            raise CodeChanged(order.module)
        if not self._has_own_numbers:
            self._has_own_numbers = True
            reseed_generators()
        return task

    def run_chunk(self, order: BatchOrder, chunk: int, indices: Sequence[int], items: Any) -> None:
        """Run items until they are done, or the chunk is revoked."""
        work = self.work_for(order)
        pairs = self._pairs(chunk, zip(indices, items, strict=True))
        put = self._keep_and_judge if order.stop_on_failure else self._keep
        # Each time: in an interpreter, what is local to a thread ends with the call.
        item_output.enter_thread(self.outbox.words)
        run_items(work, self.site, Slot(self.outbox.words, put, NoRecords()), pairs)
        item_output.finish_lines()
        self._report_threads()
        self._send(FrameKind.CHUNK, chunk)

    def _pairs(self, chunk: int, pairs: Iterable[tuple[int, Any]]) -> Iterator[tuple[int, Any]]:
        words = self.outbox.words
        for pair in pairs:
            # Written before the chunk is checked for being revoked, so that a parent that revokes
            # and then sees another item here knows that this one will not begin.
            words[0] = NOT_YET_NS
            words[1] = pair[0] + 1
            if words[2] >= chunk:
                words[1] = 0
                return
            yield pair

    def _keep_and_judge(self, row: Row) -> bool:
        if row[_ERROR] is not None:
            self._work.stop_flag.close("failed_fast")
        return self._keep(row)

    def _keep(self, row: Row) -> bool:
        """Keep a record until it is sent; returns whether anything was sent."""
        record, is_sent = to_record(row), False
        if not self.outbox.put(record):
            self._send(FrameKind.ROWS)
            if not self.outbox.put(record):
                self.channel.send(FrameKind.ROWS, 0, pack_record(record))
            is_sent = True
        wall_ns = row[_WALL]
        ended_ns = row[_START] + wall_ns
        if wall_ns > _SEND_AT_ONCE_NS or ended_ns - self._sent_ns > _SEND_AFTER_NS:
            self._send(FrameKind.ROWS)
            self._sent_ns = ended_ns
            is_sent = True
        return is_sent

    def _send(self, kind: FrameKind, number: int = 0) -> None:
        self.channel.send(kind, number, self.outbox.unsent())
        self.outbox.clear()

    def _report_threads(self) -> None:
        if not self.states:
            return  # this process ends with its item
        # An interpreter ends with its process only, and says so before its batch is over.
        is_spoiled = self.site.interpreter != 0 and restore(self.states) is not None
        left = count_threads() - self.threads - self._package_threads.count
        if left > 0 and (names := self._package_threads.explain(left)):
            self.channel.send(FrameKind.THREADS, 0, "\n".join(names).encode())
            left = 0
        if is_spoiled or left > 0:
            self.channel.send(FrameKind.LEAKED)


_child: Child | None = None


def enter_process(setup: ChildSetup, is_kept: bool = True) -> None:
    """Become a child process that runs tasks, and ends with its parent.

    A child that cannot, ends with the number of the error as its status.

    Args:
        is_kept: whether it may run items of several batches.
    """
    try:
        _enter_process(setup, is_kept)
    except BaseException as error:
        traceback.print_exc(file=sys.stderr)
        sys.stderr.flush()
        os._exit(exit_status_of(error))


def _enter_process(setup: ChildSetup, is_kept: bool) -> None:
    global _child
    # Only here: sub-interpreters cannot import all of it.
    from multiprocessing import parent_process

    reset_signals()
    parent = parent_process()
    assert parent is not None
    die_with_parent()
    with contextlib.suppress(LimitReached):
        # On Linux the line above is enough.
        start_thread(threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True))
    _child = Child(setup)
    _child.threads = count_threads()
    if is_kept:
        _child.states = ProcessState(), InterpreterState()


def enter_interpreter(setup: ChildSetup) -> None:
    """Become an interpreter that runs tasks; it shares the process with its parent."""
    global _child
    threading.current_thread().name = "interpreter"
    _child = Child(setup)
    _child.threads = count_threads()
    # The rest belongs to the process: its runner restores that.
    _child.states = (InterpreterState(),)


def run_chunk(order: BatchOrder, chunk: int, indices: Sequence[int], items: Any) -> None:
    """Run a chunk in this child; failures of our own code are sent to the parent."""
    if _child is None:
        # A task has removed the modules of this package, and this is a new one.
        end_now()
    assert _child is not None
    # In an interpreter each call has a new thread object, though it is the same thread.
    threading.current_thread().name = _child.site.thread_name
    try:
        _child.run_chunk(order, chunk, indices, items)
    except ConnectionError:
        if _child.site.interpreter == 0:
            end_now()
    except CodeChanged:
        _child.channel.send(FrameKind.STALE, chunk)
    except BaseException:
        _report_broken(_child, chunk)


def _report_broken(child: Child, chunk: int) -> None:
    try:
        child.channel.send(FrameKind.BROKEN, chunk, traceback.format_exc().encode())
    except BaseException:
        # Nobody looks at what a call raises.
        if child.site.interpreter == 0:
            end_now()
        raise


def run_alone(setup: ChildSetup, order: BatchOrder, index: int, item: Any) -> None:
    """The whole life of a process that runs one item."""
    enter_process(setup, is_kept=False)
    run_chunk(order, 1, (index,), (item,))


def park(path: Path) -> None:
    """Wait while the parent's parking is open."""
    wait_while_locked(path)


def ready() -> None:
    """Do nothing; a pool starts a process for this call."""


def _end_with(sentinel: int) -> None:
    # For what the kernel does not do: other systems than Linux, and a fork server between.
    from multiprocessing import connection

    connection.wait([sentinel])
    end_now()
