"""The interface of a backend, and the batch that it is given."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from batchpool.backends.context import RunnerContext
from batchpool.backends.facts import facts_of
from batchpool.backends.item_source import ItemSource
from batchpool.backends.outcomes import OutcomeCollector
from batchpool.execution.finished_records import NoRecords, SlotRecords
from batchpool.execution.run_item import Work
from batchpool.execution.shared_sum import IN_PROCESS, Number, SharedSum
from batchpool.execution.slot import Slot
from batchpool.execution.stop_flag import StopFlag
from batchpool.model import AutoChoice, BatchSpec, RunSpec
from batchpool.tasks.decorator import Task


@dataclass(frozen=True)
class Batch:
    """A batch to run: its spec, its task, and where its outcomes go."""

    spec: BatchSpec
    task: Task
    params: Any
    concurrency: int
    """How many tasks may be in flight: as requested, but at most the number of items."""
    context: RunnerContext
    stop_flag: StopFlag
    outcomes: OutcomeCollector

    @property
    def run(self) -> RunSpec:
        return self.spec.run

    @property
    def args(self) -> tuple[Any, ...]:
        """What the task's function gets besides the item."""
        return () if self.task.params is None else (self.params,)

    def item(self, index: int) -> Any:
        """The item with the job-wide index `index`."""
        return self.spec.items[index - self.spec.first]


class Backend(ABC):
    """One way to run items; made for one batch, used as a context manager.

    Promises: `run` gives the collector exactly one outcome for every item that it takes, and takes
    all, those that come back for another attempt too, unless the stop flag is set. Never more
    than `batch.concurrency` items are in flight, and that many are if there are as many.
    A task that raises fails alone. After the context nothing that ran a task is left, except a
    warm pool of the runner context.
    """

    pool: str | None = None
    """"warm" or "fresh" for pools, once entered."""
    shares_items = False
    """Whether several other backends take its items at once."""
    has_loop = False
    """Whether one loop sends items and takes outcomes: it must not wait until it can read one."""
    chosen: AutoChoice | None = None
    """What was chosen and why, for a backend that chooses."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch

    @abstractmethod
    def run(self, items: ItemSource) -> None:
        """Run the items; returns when all have ended, or the stop flag is set and none runs."""

    @property
    def effective_concurrency(self) -> int:
        """How many slots the batch had."""
        return self.batch.concurrency

    @property
    def start_method(self) -> str | None:
        """How its processes were started; None if it starts none."""
        facts = facts_of(self.batch.run.backend)
        return self.batch.run.start_method if facts.start_method else None

    def observed(self) -> Number | None:
        """The shared sum as this process sees it after the run; None without one."""
        return None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        frames: TracebackType | None,
    ) -> None:
        return None


class InProcess(Backend):
    """Base of backends whose tasks run in this process: an in-flight table and a shared sum."""

    def __init__(self, batch: Batch) -> None:
        super().__init__(batch)
        self._open = ExitStack()
        self.all_slots: list[Slot] = []
        self.sum = self.make_sum()
        assert batch.task.run is not None or batch.task.run_async is not None
        self.work = Work(
            function=batch.task.run or batch.task.run_async or batch.task,
            stop_flag=batch.stop_flag,
            args=batch.args,
            add=self.sum.add if self.sum is not None else None,
        )

    def make_sum(self) -> SharedSum | None:
        """The shared sum of the strategy that the batch names."""
        strategy = IN_PROCESS[self.batch.run.shared_sum]
        return None if strategy is None else strategy()

    def observed(self) -> Number | None:
        return None if self.sum is None else self.sum.observed()

    def slot(self, number: int) -> Slot:
        """The slot of that number, in files that the parent can read."""
        return self.all_slots[number]

    @property
    def slots(self) -> int:
        """How many slots the in-flight table has."""
        return self.batch.concurrency

    def __enter__(self) -> Self:
        context, outcomes = self.batch.context, self.batch.outcomes
        context.in_flight.open(self.slots)
        self._open.callback(context.in_flight.clear)
        kept: Sequence[SlotRecords] = [NoRecords()] * self.slots
        if outcomes.are_final:
            kept = context.finished.open(self.slots)
        self.all_slots += [
            Slot(context.in_flight.slot(number), outcomes.put, records)
            for number, records in enumerate(kept)
        ]
        self._open.callback(self.all_slots.clear)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        frames: TracebackType | None,
    ) -> None:
        self._open.close()
