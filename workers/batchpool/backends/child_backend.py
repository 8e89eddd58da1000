"""Base of backends whose tasks run in child processes: one loop for events and deadlines."""

import logging
import pickle
from abc import abstractmethod
from time import monotonic, monotonic_ns

from batchpool.backends.base import Backend, Batch
from batchpool.children.channel import FrameKind
from batchpool.children.child import BatchOrder
from batchpool.children.monitor import ChildHandle, ChildMonitor
from batchpool.errors import CodeChanged, EngineError
from batchpool.execution.run_item import current_site
from batchpool.execution.run_item_async import timeout_error
from batchpool.execution.shared_sum import FileSum, GlobalSum, Number
from batchpool.model import ExecutionSite, Outcome, RecordState, TaskError
from batchpool.system.stopped_processes import StoppedProcesses

TURN_S = 0.04
"""The longest wait of one turn of the loop: `tick` must be called every 50 ms."""
_QUIET_NS = 30_000_000
log = logging.getLogger("batchpool.runner")


class ChildBackend(Backend):
    """Runs items in children; handles outcomes, exits and deadlines in one loop.

    Promises: the loop runs in the calling thread and starts no other.
    """

    has_loop = True

    def __init__(self, batch: Batch, order: BatchOrder | None = None) -> None:
        """`order` is given when this backend runs a part of another one's batch."""
        super().__init__(batch)
        self._helps = order is not None
        self.order = order or _order_of(batch)
        self._sum: GlobalSum | FileSum | None = None
        self._ticked_s = 0.0
        self._closed = False
        self._stopped = StoppedProcesses()

    def __enter__(self) -> "ChildBackend":
        strategy = self.order.shared_sum
        if not self._helps:
            if strategy in ("locked", "racy"):
                self._sum = FileSum(self.order.sum_path, strategy == "locked", create=True)
            elif strategy == "global":
                self._sum = GlobalSum()
        return self

    def __exit__(self, *exc: object) -> None:
        if isinstance(self._sum, FileSum):
            self._sum.close()
            self.order.sum_path.unlink(missing_ok=True)

    def observed(self) -> Number | None:
        return None if self._sum is None else self._sum.observed()

    def tick(self) -> None:
        """Call the runner context's `on_idle`, at most every 20 ms."""
        now = monotonic()
        if now - self._ticked_s > TURN_S / 2:
            self._ticked_s = now
            self.batch.context.call_on_idle()

    def poll(self, monitor: ChildMonitor, most_s: float = TURN_S) -> None:
        """Handle child events and kill overdue tasks; wait for one at most so long."""
        self.tick()
        for event in monitor.poll(most_s):
            if event.outcomes:
                self.batch.outcomes.add(event.outcomes)
            if event.frame is None:
                # Its outbox is removed with it.
                self.batch.context.has_begun |= event.child.running is not None
                self.on_death(event.child)
            elif event.frame.kind is FrameKind.CHUNK:
                self.on_chunk(event.frame.number)
            elif event.frame.kind is FrameKind.THREADS:
                self._note_threads(event.frame.data.decode())
            elif event.frame.kind is FrameKind.STALE:
                raise CodeChanged(f"the code of task {self.order.task!r} has changed")
            elif event.frame.kind is FrameKind.BROKEN:
                raise EngineError(f"in child {event.child.pid}: {event.frame.data.decode()}")
        if self.batch.stop_flag.closed and not self._closed:
            self._closed = True
            self.on_close()
        now_ns = monotonic_ns()
        for child in monitor.children:
            self._check_child(child, now_ns)
        self._kill_stopped(monitor.children)

    def _kill_stopped(self, children: list[ChildHandle]) -> None:
        """Kill children that a signal has stopped for long: what they run counts as crashed."""
        # An interpreter has no process of its own.
        processes = {child.pid: child for child in children if child.process is not None}
        for pid in self._stopped.find(lambda: processes):
            child = processes[pid]
            log.warning("process %d was stopped by a signal; it is killed", pid)
            child.was_stopped = True
            if child.process is not None:
                child.process.kill()

    def _note_threads(self, names: str) -> None:
        notes = self.batch.context.leftovers
        # Each child of the pool has its own, of the same names.
        found = [f"{name} goes on in children" for name in names.splitlines()]
        notes += [note for note in found if note not in notes]

    @abstractmethod
    def on_death(self, child: ChildHandle) -> None:
        """A child exited; what it sent or left in its outbox was taken before."""

    def on_chunk(self, number: int) -> None:
        """A child has finished a chunk."""

    def on_close(self) -> None:
        """The stop flag was set: no further item may begin."""

    def _check_child(self, child: ChildHandle, now_ns: int) -> None:
        running = child.running
        if running is None:
            return
        index, started_ns = running
        if now_ns - started_ns > _QUIET_NS:
            self.batch.outcomes.add(child.unsent())
        limit_s = self.batch.run.task_timeout_s
        if limit_s is None or now_ns - started_ns < limit_s * 1e9 or child.process is None:
            return
        if child.killed_index is None:
            child.killed_index, child.killed_started_ns = index, started_ns
            child.process.kill()

    def add_outcome_for(
        self, child: ChildHandle, index: int, state: RecordState, error: TaskError
    ) -> None:
        """Add the outcome of an item whose process has died."""
        running = child.running
        now_ns = monotonic_ns()
        if index == child.killed_index:
            started_ns = child.killed_started_ns
        else:
            started_ns = running[1] if running is not None and running[0] == index else now_ns
        site = child.site or _site_of(child.pid)
        child.keep_running_log()
        outcome = Outcome(index, state, None, error, site, started_ns, now_ns - started_ns, 0)
        self.batch.outcomes.add((outcome,))

    def time_out(self, child: ChildHandle) -> None:
        """Record a timeout for the item that the child was killed for, if it has no outcome."""
        if child.killed_index is not None:
            error = timeout_error(self.batch.run.task_timeout_s)
            self.add_outcome_for(child, child.killed_index, "timeout", error)


def _order_of(batch: Batch) -> BatchOrder:
    number = batch.context.next_number()
    return BatchOrder(
        number=number,
        task=batch.task.name,
        module=batch.task.module,
        params=None if batch.task.params is None else pickle.dumps(batch.params),
        shared_sum=batch.run.shared_sum,
        sum_path=batch.context.folder / f"sum-{number}",
        stop_on_failure=batch.run.on_error == "stop" and batch.run.retries.max == 0,
        job_id=batch.spec.job_id,
        keeps_logs=batch.run.logs,
    )


def _site_of(pid: int) -> ExecutionSite:
    return ExecutionSite(pid, current_site().pid, pid, "MainThread", 0)
