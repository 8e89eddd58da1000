"""Jobs and batches as the ledger has them. Times are milliseconds of Redis' clock."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from json import dumps, loads
from typing import Any, NotRequired, TypedDict, cast

from batchpool.json_value import JsonObject
from batchpool.ledger.values import stored_fields
from batchpool.ledger.values.job_spec import JobSpec
from batchpool.model import RECORD_STATES, AutoChoice, Phases, RecordState, TaskError, Usage

MOST_ITEMS = 10_000_000
"""More are refused by the API; a batch that claims them is broken."""


class WorkerIdentity(TypedDict):
    """The identity of a worker that claims a batch; `ppid` is its PID."""

    worker: str
    host: str
    ppid: int
    python: str
    gil: bool


class Owner(WorkerIdentity):
    """The worker and runner that claim a batch; `pid` is the runner's."""

    pid: int


class LostOwner(TypedDict):
    """The end of a lease that was not renewed, and the items that ran at the last renewal."""

    lease_ended_ms: int
    in_flight: list[int]


class Epoch(Owner):
    """One ownership of a batch.

    `lost` is what is known of a worker that was lost; `refused_ms` when it, having lost the batch,
    first wrote something. What older versions wrote has no `lease_ms`, `lost` or `refused_ms`.
    """

    started_ms: int
    ended_ms: int | None
    end_reason: str | None
    lease_ms: NotRequired[int]
    lost: NotRequired[LostOwner]
    refused_ms: NotRequired[int]


class Report(TypedDict, total=False):
    """The report of the owner that closed a batch; sums are texts of an `ExactSum`."""

    effective_concurrency: int
    pool: str | None
    start_method: str | None
    startup_s: float
    wall_s: float
    phases: Phases
    usage: Usage
    chosen: AutoChoice
    observed: int | float | None
    partial: bool
    closing_sum: str


@dataclass(frozen=True)
class Tally:
    """Counts and sums over all records of a batch so far; `log_bytes` are kept of their logs."""

    counts: dict[RecordState, int] = field(default_factory=dict)
    running: int = 0
    sum: str = ""
    wall_s: float = 0.0
    cpu_s: float = 0.0
    pids: list[int] = field(default_factory=list)
    pids_total: int = 0
    log_bytes: int = 0

    @property
    def recorded(self) -> int:
        return sum(self.counts.values())

    def dump(self) -> str:
        return dumps(self.__dict__, separators=(",", ":"))

    @classmethod
    def parse(cls, text: bytes | None) -> "Tally":
        return cls(**loads(text)) if text else cls()


@dataclass(frozen=True)
class BatchEntry:
    """One batch; once it has ended, `rest` is the state of its items without a record."""

    index: int
    first: int
    count: int
    state: str
    queue: str
    tally: Tally
    queued_ms: int
    started_ms: int | None
    finished_ms: int | None
    epochs: list[Epoch]
    report: Report
    error: TaskError | None
    rest: RecordState | None
    parked: str | None
    lost: int
    refused: int
    second_try: str | None = None
    leftovers: tuple[str, ...] = ()
    reduced: dict[str, bytes] = field(default_factory=dict)
    """States of reducers by name, as far as they were read."""


@dataclass(frozen=True)
class JobEntry:
    """One job with its batches in order; `cancel` is what cancelled it: user or error."""

    id: str
    state: str
    spec: JobSpec
    submitted_ms: int
    started_ms: int | None
    finished_ms: int | None
    cancel: str | None
    error: TaskError | None
    batches: list[BatchEntry]


@dataclass(frozen=True)
class UploadedItems:
    """Items that came before their job.

    Args:
        key: the hash that has them; None if they were only counted, for a dry run.
        blocks: fields of the hash.
        stored_bytes: their size, compressed.
    """

    key: str | None
    count: int
    blocks: int
    stored_bytes: int

    def __len__(self) -> int:
        return self.count


@dataclass(frozen=True)
class NewJob:
    """A job to be written: `ranges` are (first index, count) of its batches, without gaps.

    `items` is None when the items are the numbers 0 … n-1; `queue` is a class of workers, and
    `queues` one for each batch where they differ. With `leader`, the token of the process that
    drives comparisons, nothing is written when another process has taken the lead.
    """

    id: str
    spec: JobSpec
    ranges: Sequence[tuple[int, int]]
    items: Sequence[Any] | UploadedItems | None
    queue: str
    timeout_s: float
    queue_timeout_s: float
    result_ttl_s: float
    queues: Sequence[str] | None = None
    leader: str | None = None

    @property
    def reducer_bytes(self) -> int:
        """What the states of its reducers may take in each batch."""
        return sum(reducer.room_bytes for reducer in self.spec.reduce.values())


def new_entry(new: NewJob, submitted_ms: int) -> JobEntry:
    """The entry of a job that was just written, as the ledger would return it."""
    return JobEntry(
        id=new.id,
        state="queued",
        spec=new.spec,
        submitted_ms=submitted_ms,
        started_ms=None,
        finished_ms=None,
        cancel=None,
        error=None,
        batches=[
            BatchEntry(
                index=index,
                first=first,
                count=count,
                state="queued",
                queue=new.queue,
                tally=Tally(),
                queued_ms=submitted_ms,
                started_ms=None,
                finished_ms=None,
                epochs=[],
                report={},
                error=None,
                rest=None,
                parked=None,
                lost=0,
                refused=0,
            )
            for index, (first, count) in enumerate(new.ranges)
        ],
    )


def _maybe_text(raw: bytes | None) -> str | None:
    return None if raw is None else raw.decode()


def parse_batch(
    index: int, raw: Mapping[bytes, bytes], reduced: Mapping[bytes, bytes]
) -> BatchEntry:
    """Read a batch from the fields of its hash, and from that of the states of its reducers."""
    rest = raw.get(b"rest")
    if not 0 <= int(raw[b"count"]) <= MOST_ITEMS:
        raise ValueError(f"batch {index} is said to have {int(raw[b'count'])} items")
    parked = raw.get(b"parked")
    return BatchEntry(
        index=index,
        first=int(raw[b"first"]),
        count=int(raw[b"count"]),
        state=stored_fields.batch_state(raw[b"state"]),
        queue=raw[b"queue"].decode(),
        tally=Tally.parse(raw.get(b"tally")),
        queued_ms=stored_fields.time_ms(raw[b"queued_ms"]),
        started_ms=stored_fields.maybe_time_ms(raw.get(b"started_ms")),
        finished_ms=stored_fields.maybe_time_ms(raw.get(b"finished_ms")),
        epochs=_parse_epochs(raw),
        report=cast(Report, stored_fields.json_object(raw.get(b"report") or b"{}")),
        error=stored_fields.maybe_error(raw.get(b"error")),
        rest=next((state for state in RECORD_STATES if rest and state == rest.decode()), None),
        parked=parked.decode() if parked else None,
        lost=int(raw.get(b"lost", 0)),
        refused=int(raw.get(b"refused", 0)),
        second_try=_maybe_text(raw.get(b"second_try")),
        leftovers=tuple(map(str, loads(raw.get(b"leftovers") or b"[]"))),
        reduced={name.decode(): state for name, state in reduced.items()},
    )


def _parse_epochs(raw: Mapping[bytes, bytes]) -> list[Epoch]:
    count = int(raw.get(b"epoch", 0))
    if b"owner:%d" % (count + 1) in raw:
        raise ValueError(f"it has an owner of an epoch after the last one, {count}")
    return [_parse_epoch(raw, number) for number in range(1, count + 1)]


def _parse_epoch(raw: Mapping[bytes, bytes], number: int) -> Epoch:
    owner = stored_fields.owner(raw[b"owner:%d" % number])
    ended, _, reason = raw.get(b"ended:%d" % number, b"").partition(b":")
    times: JsonObject = {
        "started_ms": stored_fields.time_ms(raw[b"started:%d" % number]),
        "ended_ms": stored_fields.time_ms(ended) if ended else None,
        "end_reason": reason.decode() or None,
    }
    if lost := raw.get(b"lost:%d" % number):
        times["lost"] = loads(lost)
    if refused := raw.get(b"refused:%d" % number):
        times["refused_ms"] = int(refused)
    return cast(Epoch, owner | times)


_NUMBERS_OF_STEPS = {
    **dict.fromkeys((b"open", b"ttl_ms", b"timeout_ms", b"queue_timeout_ms"), b"missing"),
    **dict.fromkeys((b"deadline_ms", b"queue_deadline_ms", b"begun"), b"0"),
}
"""What the steps of a job count with, though no reader needs it, and what stands for no field."""


def parse_job(job_id: str, raw: Mapping[bytes, bytes], batches: list[BatchEntry]) -> JobEntry:
    """Read a job from the fields of its hash and its parsed batches."""
    cancel = raw.get(b"cancel")
    if len(batches) != int(raw[b"batches"]):
        raise ValueError(f"{len(batches)} of {int(raw[b'batches'])} batches are there")
    for name, default in _NUMBERS_OF_STEPS.items():
        if not re.fullmatch(rb"\d{1,15}", value := raw.get(name, default)):
            raise ValueError(f"its {name.decode()} is {value[:40]!r}, not a number")
    return JobEntry(
        id=job_id,
        state=stored_fields.job_state(raw[b"state"]),
        spec=JobSpec.from_json(loads(raw[b"spec"])),
        submitted_ms=stored_fields.time_ms(raw[b"submitted_ms"]),
        started_ms=stored_fields.maybe_time_ms(raw.get(b"started_ms")),
        finished_ms=stored_fields.maybe_time_ms(raw.get(b"finished_ms")),
        cancel=cancel.decode() if cancel else None,
        error=stored_fields.maybe_error(raw.get(b"error")),
        batches=batches,
    )
