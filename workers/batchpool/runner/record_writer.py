"""Write a running batch's records to the ledger in blocks, soon after they were made."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from json import dumps
from typing import Any

from batchpool.errors import EngineError
from batchpool.exact_sum import ExactSum
from batchpool.execution.item_logs import ItemLogs, LogBudget
from batchpool.execution.record_buffer import RecordBuffer
from batchpool.ledger.blocks.columns import Columns, count_states, is_uniform
from batchpool.ledger.connection import UNREACHABLE
from batchpool.ledger.ownership import EMPTY_BLOCK, Block, Claim, Ending, Ownership, make_block_of
from batchpool.ledger.values.job_entries import Tally
from batchpool.model import Outcome
from batchpool.reducers.reduction import BatchReductions

FLUSH_AFTER_S = 0.1
BLOCK_RECORDS = 4096
BLOCK_BYTES = 4 << 20
"""A block is closed when the values in it reach this size as JSON."""
RETRY_AFTER_S = 0.5
MOST_PIDS = 1000
_SMALL = frozenset({int, float, bool, type(None)})
_FIELDS = len(Outcome._fields)
_VALUE = Outcome._fields.index("value")


class OwnershipLost(Exception):
    """The ledger refused a block: another worker owns the batch now."""


class RecordWriter:
    """Takes records by its buffer; writes them, in order, from the thread that calls `tick`.

    A block is sent again under its id until the ledger has confirmed it.
    """

    def __init__(
        self,
        ownership: Ownership,
        claim: Claim,
        epoch_start_ns: int,
        running: Callable[[], int],
        logs: ItemLogs,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ownership = ownership
        self._claim = claim
        self._epoch_start_ns = epoch_start_ns
        self._running = running
        self._logs = logs
        self._clock = clock
        self.buffer = RecordBuffer()
        self._unsent: list[tuple[Block, Tally]] = []
        self._blocks = 0
        self._totals = _Totals(claim.tally)
        self._reductions = BatchReductions(claim.run.reduce, claim.reduced)
        self._next_try = clock() + FLUSH_AFTER_S
        self._shown_running = 0

    @property
    def run_sum(self) -> str:
        """The exact sum of what was run since `begin_run`, as text."""
        return self._totals.run_sum.text()

    @property
    def has_records(self) -> bool:
        """Whether any item was recorded under this claim."""
        return self._blocks > 0

    @property
    def counts(self) -> Mapping[str, int]:
        """Records by state over the whole batch, those of earlier epochs included."""
        return {str(state): count for state, count in self._totals.counts.items()}

    @property
    def has_failures(self) -> bool:
        """Whether an item of the batch has not succeeded, in whatever epoch."""
        return self._totals.counts.total() > self._totals.counts["succeeded"]

    @property
    def is_behind(self) -> bool:
        """Whether a whole block waits to be written."""
        return len(self.buffer) >= BLOCK_RECORDS

    def begin_run(self, made_before: Iterable[Outcome]) -> None:
        """Take records of items that do not run again; what comes after them is of the next run."""
        self.buffer.add(made_before)
        self._pack()
        self._totals.run_sum = ExactSum()

    def tick(self) -> None:
        """Write what is due; fast when nothing is. An unreachable Redis is no error here.

        Raises:
            OwnershipLost: stop running the batch.
        """
        if self._clock() < self._next_try and not self.is_behind:
            return
        try:
            self.flush()
            self._show_running()
            self._next_try = self._clock() + FLUSH_AFTER_S
        except UNREACHABLE:
            self._next_try = self._clock() + RETRY_AFTER_S

    def flush(self) -> None:
        """Write everything; call it again when Redis was unreachable."""
        self._pack()
        self._send(keep_last=False)

    def close(
        self,
        ending: Callable[[Mapping[str, int]], Ending] | None,
        between_retries: Callable[[], None] = lambda: None,
    ) -> None:
        """Write everything and, if `ending` is given, end the batch with the last block.

        Retries while Redis is unreachable, calling `between_retries`; the worker, which watches
        this process, kills it when the job's limit has passed.
        """
        while True:
            try:
                self._pack()
                self._send(keep_last=ending is not None)
                if ending:
                    last = self._unsent[0] if self._unsent else (EMPTY_BLOCK, self._totals.tally())
                    self._hand_in(*last, ending(self.counts))
                return
            except UNREACHABLE:
                between_retries()
                time.sleep(RETRY_AFTER_S)

    def _pack(self) -> None:
        for part in _split_blocks(self.buffer.take()):
            self._blocks += 1
            made = Columns.of_fields(part)
            self._totals.add(made)
            logs = self._totals.fit(self._logs.take_all(made.indices), made)
            block = make_block_of(self._claim, self._blocks, made, self._epoch_start_ns, logs)
            if self._reductions:
                block = replace(block, reduced=self._reductions.add(*made.succeeded()))
            # The tally goes with its block: it must not count what a later block still carries.
            self._unsent.append((block, self._totals.tally()))

    def _send(self, *, keep_last: bool) -> None:
        while len(self._unsent) > keep_last:
            block, tally = self._unsent[0]
            self._hand_in(block, replace(tally, running=self._running()))
            del self._unsent[0]

    def _show_running(self) -> None:
        if (running := self._running()) != self._shown_running:
            self._hand_in(EMPTY_BLOCK, replace(self._totals.tally(), running=running))

    def _hand_in(self, block: Block, tally: Tally, ending: Ending | None = None) -> None:
        answer = self._ownership.flush(self._claim, block, tally, ending)
        if answer == "short":
            raise EngineError("the ledger has fewer records than the batch has items")
        if answer not in ("ok", "again"):
            raise OwnershipLost(answer)
        self._shown_running = tally.running


def _split_blocks(fields: list[Any]) -> Iterator[list[Any]]:
    """Cut records that lie flat into parts, each for one block."""
    block = BLOCK_RECORDS * _FIELDS
    for start in range(0, len(fields), block):
        part = fields[start : start + block]
        values = part[_VALUE::_FIELDS]
        if _SMALL.issuperset(map(type, values)):
            yield part
            continue
        size = begin = 0
        for at, value in enumerate(values, 1):
            if isinstance(value, str | list | dict):
                size += len(dumps(value))
            if size >= BLOCK_BYTES or at == len(values):
                yield part[begin * _FIELDS : at * _FIELDS]
                begin, size = at, 0


class _Totals:
    """The tally of the whole batch, continued from what earlier epochs left."""

    def __init__(self, before: Tally) -> None:
        self.counts = Counter(before.counts)
        self.run_sum = ExactSum()
        self._sum = ExactSum.parse(before.sum)
        self._wall_s, self._cpu_s = before.wall_s, before.cpu_s
        self._pids = dict.fromkeys(before.pids)
        self._more_pids = before.pids_total - len(before.pids)
        self._log_budget = LogBudget(before.log_bytes)

    def add(self, made: Columns) -> None:
        for state, count in count_states(made).items():
            self.counts[state] += count
        part = ExactSum()
        part.add_all(made.values)
        self.run_sum.merge(part)
        self._sum.merge(part)
        self._wall_s += sum(made.walls_ns) / 1e9
        self._cpu_s += sum(made.cpus_ns) / 1e9
        sites = made.sites[:1] if is_uniform(made.sites) else made.sites
        for pid in {site.pid for site in set(sites)} - self._pids.keys():
            if len(self._pids) < MOST_PIDS:
                self._pids[pid] = None
            else:
                self._more_pids += 1

    def fit(self, logs: Mapping[int, str], made: Columns) -> dict[int, str | None]:
        """The logs by position in a block; None for one that the batch has no room for."""
        return {
            at: self._log_budget.fit(log, made.states[at] == "succeeded")
            for at, log in logs.items()
        }

    def tally(self) -> Tally:
        return Tally(
            counts=dict(self.counts),
            sum=self._sum.text(),
            wall_s=self._wall_s,
            cpu_s=self._cpu_s,
            pids=list(self._pids),
            pids_total=len(self._pids) + self._more_pids,
            log_bytes=self._log_budget.used_bytes,
        )
