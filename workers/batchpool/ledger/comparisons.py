"""Comparisons in the ledger: ordered, read, cancelled, deleted, and driven on by one leader."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from redis import Redis

from batchpool.ledger import keys
from batchpool.ledger.connection import Commands
from batchpool.ledger.events import wait_for_entry
from batchpool.ledger.job_creation import Created, IdempotencyKey, KeyReused, QueueFull
from batchpool.ledger.jobs import pack_items, unpack_items
from batchpool.ledger.scripts import LuaScript
from batchpool.model import TaskError

StepAnswer = Literal["ok", "stale", "moved", "ended"]


@dataclass(frozen=True)
class NewComparison:
    """A comparison to be written; `items` is None when they are the numbers 0 … n-1."""

    id: str
    spec: dict[str, Any]
    class_id: str
    items: Sequence[Any] | None
    result_ttl_s: float


@dataclass(frozen=True)
class ComparisonEntry:
    """One comparison as the ledger has it; times are milliseconds of Redis' clock.

    Args:
        position, attempt: the next run in the plan, and its how-many-th try.
        job_id: the job of the run that is under way, once it was decided on.
        ttl_s: how long it and its jobs are kept after their ends.
        notes: what else the driver keeps: what was seen before the run, what it waits for, arms
            that failed, how many runs were disturbed.
        samples: each run that has ended; empty unless they were asked for.
        analysis: what it came to; None unless asked for, and while it goes on.
    """

    id: str
    state: str
    spec: dict[str, Any]
    class_id: str
    submitted_ms: int
    started_ms: int | None
    finished_ms: int | None
    cancelled_ms: int | None
    position: int
    attempt: int
    job_id: str | None
    ttl_s: float
    notes: dict[str, Any]
    environment: dict[str, Any] | None
    error: TaskError | None
    samples: list[dict[str, Any]] = field(default_factory=list)
    analysis: dict[str, Any] | None = None

    @property
    def place(self) -> str:
        """Where it is: what a step names that means this very moment."""
        return f"{self.position}/{self.attempt}/{self.job_id or ''}"


class ComparisonSnapshot(NamedTuple):
    """A comparison at one moment, just after the event with the id `event`."""

    entry: ComparisonEntry
    now_ms: int
    event: str


@dataclass(frozen=True)
class Change:
    """One step on; `fields` are written, None removes one.

    Args:
        sample: what is added to the samples.
        event: its kind and the number of the run, '' for none.
        end: the terminal state, with `error` and `analysis` if there are any.
    """

    fields: Mapping[str, Any] = field(default_factory=dict)
    sample: Mapping[str, Any] | None = None
    event: tuple[str, int | str] | None = None
    end: str | None = None
    error: TaskError | None = None
    analysis: Mapping[str, Any] | None = None

    def dump(self) -> str:
        set_ = {name: _text(value) for name, value in self.fields.items() if value is not None}
        step: dict[str, Any] = {"set": set_}
        step["drop"] = [name for name, value in self.fields.items() if value is None]
        if self.sample is not None:
            step["sample"] = _dump(self.sample)
        if self.event is not None:
            step["event"] = {"kind": self.event[0], "run": str(self.event[1])}
        if self.end is not None:
            step["end"] = {"state": self.end}
            if self.error is not None:
                step["end"]["error"] = _dump(self.error)
            if self.analysis is not None:
                step["end"]["analysis"] = _dump(self.analysis)
        return _dump(step)


def _dump(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else _dump(value)


class Comparisons:
    """The comparisons in one Redis."""

    def __init__(self, redis: Redis) -> None:
        self._redis: Commands = redis
        self._create = LuaScript(redis, "compare_create")
        self._read = LuaScript(redis, "compare_read")
        self._lead = LuaScript(redis, "compare_lead")
        self._step = LuaScript(redis, "compare_step")
        self._cancel = LuaScript(redis, "compare_cancel")
        self._delete = LuaScript(redis, "compare_delete")

    def create(
        self, new: NewComparison, most_open: int, key: IdempotencyKey | None = None
    ) -> Created:
        """Write a comparison; the one that is there now.

        Raises:
            KeyReused: `key` was used for another body.
            QueueFull: as many as may already wait.
        """
        order: dict[str, Any] = {"ttl_ms": int(new.result_ttl_s * 1000), "most": most_open}
        if key:
            value = f"{new.id} {key.body_sha256}"
            order["once"] = {"name": key.name, "value": value, "ttl_s": key.ttl_s}
        args = [_dump(order), _dump(new.spec), new.class_id, *pack_items(new.items or ())]
        word, *rest = self._create(keys.comparison_key(new.id), args)
        if word == b"again" and key:
            first_id, body = rest[0].decode().split(" ")
            if body != key.body_sha256:
                raise KeyReused(key.key)
            return Created(first_id, None)
        if word == b"queued":
            raise QueueFull(*map(int, rest))
        return Created(new.id, int(rest[0]))

    def load(self, comparison_id: str, whole: bool = True) -> ComparisonSnapshot | None:
        """The comparison, with samples and analysis if it is to be `whole`."""
        return self.look_many([comparison_id], whole)[0]

    def look_many(
        self, comparison_ids: Sequence[str], whole: bool = False
    ) -> list[ComparisonSnapshot | None]:
        names = [keys.comparison_key(comparison_id) for comparison_id in comparison_ids]
        if not names:
            return []
        now, *found = self._read(names[0], [int(whole), *names])
        return [
            _snapshot(comparison_id, int(now), raw) if raw else None
            for comparison_id, raw in zip(comparison_ids, found, strict=True)
        ]

    def state(self, comparison_id: str) -> str | None:
        state = self._redis.hget(keys.comparison_key(comparison_id), "state")
        return state.decode() if state else None

    def has_ended(self, comparison_id: str, block_ms: int) -> bool:
        """Whether it has ended; waits up to `block_ms` for that. False for an unknown one."""
        return wait_for_entry(self._redis, keys.comparison_key(comparison_id) + ":end", block_ms)

    def page(self, limit: int, before: str | None = None) -> list[str]:
        """Ids, newest first, from the one after `before`; empty when `before` is unknown."""
        start = 0
        if before is not None:
            rank = self._redis.zrevrank(keys.COMPARISONS, keys.comparison_key(before))
            if rank is None:
                return []
            start = rank + 1
        members = self._redis.zrange(keys.COMPARISONS, start, start + limit - 1, desc=True)
        return [keys.comparison_id_of(member) for member in members]

    def open_ids(self) -> list[str]:
        """Those that have not ended, in the order of their submission."""
        members = self._redis.zrange(keys.COMPARING, 0, -1)
        return [keys.comparison_id_of(member) for member in members]

    def items(self, comparison_id: str) -> list[Any] | None:
        """The items that were given one by one; None for the numbers 0 … n-1."""
        blocks = self._redis.hgetall(keys.comparison_key(comparison_id) + ":items")
        if not blocks:
            return None
        ordered = sorted(blocks.items(), key=lambda block: int(block[0]))
        return [item for _, block in ordered for item in unpack_items(block)]

    def cancel(self, comparison_id: str) -> str:
        """`cancelled` (as often as asked while it runs), `terminal` or `missing`."""
        return str(self._cancel(keys.comparison_key(comparison_id)).decode())

    def delete(self, comparison_id: str) -> str:
        """`deleted`, `running` (then nothing was done) or `missing`; its jobs stay."""
        return str(self._delete(keys.comparison_key(comparison_id)).decode())

    # -- the driver's side

    def lead(self, token: str, chance: str, lease_s: float) -> str:
        """Take or keep the lead; the token that says so, '' when another process has it."""
        args = [token, chance, int(lease_s * 1000), 0]
        return str(self._lead(keys.LEADER, args).decode())

    def give_up_lead(self, token: str) -> None:
        self._lead(keys.LEADER, [token, "", 0, 1])

    def step(self, entry: ComparisonEntry, token: str, change: Change) -> StepAnswer:
        """Take it on from where `entry` has it; anything but `ok` changed nothing."""
        key = keys.comparison_key(entry.id)
        answer: StepAnswer = self._step(key, [token, entry.place, change.dump()]).decode()
        return answer

    def foreign_batches(self, own_job_id: str | None) -> dict[str, list[str]]:
        """Host -> the batches of other jobs that run there now, as `<job id>/<batch>`."""
        members = [keys.split_member(raw) for raw in self._redis.zrange(keys.LEASES, 0, -1)]
        others = [member for member in members if member[0] != own_job_id]
        found: dict[str, list[str]] = {}
        for (job_id, batch), owner in zip(others, self._owners(others), strict=True):
            if owner is not None:
                found.setdefault(owner["host"], []).append(f"{job_id}/{batch}")
        return found

    def _owners(self, members: Sequence[tuple[str, int]]) -> list[dict[str, Any] | None]:
        with self._redis.pipeline(transaction=False) as pipe:
            for member in members:
                pipe.hget(keys.batch_key(*member), "epoch")
            epochs = pipe.execute()
        with self._redis.pipeline(transaction=False) as pipe:
            for member, epoch in zip(members, epochs, strict=True):
                pipe.hget(keys.batch_key(*member), f"owner:{int(epoch or 0)}")
            owners = pipe.execute()
        return [json.loads(owner) if owner else None for owner in owners]


def _snapshot(comparison_id: str, now_ms: int, raw: list[Any]) -> ComparisonSnapshot:
    event, flat, samples, analysis = raw
    fields = dict(zip(flat[::2], flat[1::2], strict=True))
    entry = _parse(comparison_id, fields, samples, analysis or None)
    return ComparisonSnapshot(entry, now_ms, event.decode())


def _parse(
    comparison_id: str,
    raw: Mapping[bytes, bytes],
    samples: Sequence[bytes],
    analysis: bytes | None,
) -> ComparisonEntry:
    def parsed(name: bytes) -> Any:
        return json.loads(raw[name]) if name in raw else None

    return ComparisonEntry(
        id=comparison_id,
        state=raw[b"state"].decode(),
        spec=json.loads(raw[b"spec"]),
        class_id=raw[b"class"].decode(),
        submitted_ms=int(raw[b"submitted_ms"]),
        started_ms=parsed(b"started_ms"),
        finished_ms=parsed(b"finished_ms"),
        cancelled_ms=parsed(b"cancel"),
        position=int(raw[b"position"]),
        attempt=int(raw[b"attempt"]),
        job_id=raw[b"job"].decode() if b"job" in raw else None,
        ttl_s=int(raw[b"ttl_ms"]) / 1000,
        notes=parsed(b"notes") or {},
        environment=parsed(b"environment"),
        error=parsed(b"error"),
        samples=[json.loads(sample) for sample in samples],
        analysis=json.loads(analysis) if analysis else None,
    )
