"""Comparisons in Redis: create, read, cancel, delete, and the steps of the one driver."""

import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from redis import Redis

from batchpool.json_value import JsonValue
from batchpool.ledger import keys
from batchpool.ledger.blocks.item_codec import ItemsBroken, pack_items, unpack_items
from batchpool.ledger.broken import UNPARSABLE, Broken
from batchpool.ledger.connection import Commands
from batchpool.ledger.events import wait_for_entry
from batchpool.ledger.job_creation import Created, IdempotencyKey, QueueFull
from batchpool.ledger.newest_first import page_of_ids, readable_ids
from batchpool.ledger.scripts import LuaScript, mapping
from batchpool.ledger.values import stored_fields
from batchpool.ledger.values.comparison_entries import (
    ComparisonEntry,
    ComparisonSpec,
    Environment,
    ExecutionNotes,
    Sample,
)
from batchpool.model import TaskError

StepAnswer = Literal["ok", "stale", "moved", "ended"]


@dataclass(frozen=True)
class NewComparison:
    """A comparison to be written; `items` is None when they are the numbers 0 … n-1."""

    id: str
    spec: ComparisonSpec
    class_id: str
    items: Sequence[Any] | None
    result_ttl_s: float


class ComparisonSnapshot(NamedTuple):
    """A comparison at one moment, just after the event with the id `event`."""

    entry: ComparisonEntry
    now_ms: int
    event: str


@dataclass(frozen=True)
class Change:
    """One step of a comparison; what is None stays as it is.

    Args:
        drop: the fields to remove.
        sample: appended to the samples.
        event: its kind and the number of the run, '' for none.
        end: the terminal state, with `error` and `analysis` if there are any.
    """

    position: int | None = None
    attempt: int | None = None
    job_id: str | None = None
    class_id: str | None = None
    spec: ComparisonSpec | None = None
    notes: ExecutionNotes | None = None
    environment: Environment | None = None
    drop: tuple[Literal["job", "environment"], ...] = ()
    sample: Sample | None = None
    event: tuple[str, int | str] | None = None
    end: str | None = None
    error: TaskError | None = None
    analysis: Mapping[str, object] | None = None

    def dump(self) -> str:
        """The step as `compare_step.lua` reads it."""
        fields = {
            "position": self.position,
            "attempt": self.attempt,
            "job": self.job_id,
            "class": self.class_id,
            "spec": self.spec,
            "notes": self.notes,
            "environment": self.environment,
        }
        written = {name: _text(value) for name, value in fields.items() if value is not None}
        step: dict[str, object] = {"set": written, "drop": self.drop}
        if self.sample is not None:
            step["sample"] = _text(self.sample)
        if self.event is not None:
            step["event"] = {"kind": self.event[0], "run": str(self.event[1])}
        if self.end is not None:
            texts = {"error": self.error, "analysis": self.analysis}
            given = {name: _text(value) for name, value in texts.items() if value is not None}
            step["end"] = {"state": self.end, **given}
        return _dump(step)


def _dump(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    return _dump(value.to_json() if isinstance(value, JsonValue) else value)


class Comparisons:
    """The comparisons in one Redis."""

    def __init__(self, redis: Redis) -> None:
        self._redis: Commands = redis
        self._broken = Broken(redis)
        self._create = LuaScript(redis, "compare_create")
        self._read = LuaScript(redis, "compare_read")
        self._lead = LuaScript(redis, "compare_lead")
        self._step = LuaScript(redis, "compare_step")
        self._cancel = LuaScript(redis, "compare_cancel")
        self._delete = LuaScript(redis, "compare_delete")

    def create(
        self, new: NewComparison, most_open: int, key: IdempotencyKey | None, dry_run: bool = False
    ) -> Created:
        """Write a comparison, or find the one that the same key and body have written.

        A dry run only finds out which.

        Raises:
            KeyReused, KeyBroken: `key` was used for another body, or that is not known.
            QueueFull: `most_open` comparisons are queued or running already.
        """
        request: dict[str, object] = {"ttl_ms": int(new.result_ttl_s * 1000), "most": most_open}
        request["dry_run"] = dry_run
        if key:
            value = f"{new.id} {key.body_sha256}"
            request["once"] = {"name": key.name, "value": value, "ttl_s": key.ttl_s}
        args = [_dump(request), _text(new.spec), new.class_id, *pack_items(new.items or ())]
        word, *rest = self._create(keys.comparison_key(new.id), args)
        if word == b"again" and key:
            return Created(key.first_id(rest[0]), None)
        if word == b"queued":
            raise QueueFull(*map(int, rest))
        return Created(new.id, int(rest[0]))

    def load(self, comparison_id: str, whole: bool = True) -> ComparisonSnapshot | None:
        """The comparison; its samples and analysis too if `whole`."""
        return self.load_many([comparison_id], whole)[0]

    def load_many(
        self, comparison_ids: Sequence[str], whole: bool = False
    ) -> list[ComparisonSnapshot | None]:
        names = [keys.comparison_key(comparison_id) for comparison_id in comparison_ids]
        if not names:
            return []
        now, *found = self._read(names[0], [int(whole), *names])
        return [
            self._snapshot(comparison_id, int(now), raw) if raw else None
            for comparison_id, raw in zip(comparison_ids, found, strict=True)
        ]

    def _snapshot(
        self, comparison_id: str, now_ms: int, raw: list[Any] | bytes
    ) -> ComparisonSnapshot | None:
        try:
            return _snapshot(comparison_id, now_ms, raw)
        except UNPARSABLE as error:
            self._broken.note_error("comparison", keys.comparison_key(comparison_id), b"", error)
            return None

    def state(self, comparison_id: str) -> str | None:
        state = self._redis.hget(keys.comparison_key(comparison_id), "state")
        return state.decode() if state else None

    def has_ended(self, comparison_id: str, block_ms: int) -> bool:
        """Wait up to `block_ms` for its end; False before the end, and for an unknown one."""
        return wait_for_entry(self._redis, keys.comparison_key(comparison_id) + ":end", block_ms)

    def page(self, limit: int, before: str | None = None) -> list[str]:
        """Ids, newest first, from the one after `before`; empty when `before` is unknown."""
        after = keys.comparison_key(before) if before is not None else None
        return page_of_ids(self._redis, keys.COMPARISONS, limit, after, keys.comparison_id_of)

    def open_ids(self) -> list[str]:
        """Queued and running comparisons, in the order of their submission."""
        members = self._redis.zrange(keys.COMPARING, 0, -1)
        return readable_ids(self._redis, keys.COMPARING, members, keys.comparison_id_of)

    def items(self, comparison_id: str) -> list[Any] | None:
        """The given items; None when they are the numbers 0 … n-1.

        Raises:
            ItemsBroken: they cannot be read.
        """
        key = keys.comparison_key(comparison_id) + ":items"
        found = self._redis.hgetall(key)
        blocks = [found.get(b"%d" % number) for number in range(len(found))]
        try:
            return [item for block in blocks for item in unpack_items(block)] if found else None
        except ItemsBroken as error:
            self._broken.note_error("block", key, b"", error)
            raise

    def cancel(self, comparison_id: str) -> str:
        """Request its end; `cancelled` (also when repeated), `terminal` or `missing`."""
        return str(self._cancel(keys.comparison_key(comparison_id)).decode())

    def delete(self, comparison_id: str) -> str:
        """Delete it, but not its jobs; `deleted`, `running` (not deleted) or `missing`."""
        return str(self._delete(keys.comparison_key(comparison_id)).decode())

    # -- for the driver

    def lead(self, token: str, chance: str, lease_s: float) -> str:
        """Take or renew the lead; its token, or '' when another process has the lead."""
        args = [token, chance, int(lease_s * 1000), 0]
        return str(self._lead(keys.LEADER, args).decode())

    def give_up_lead(self, token: str) -> None:
        self._lead(keys.LEADER, [token, "", 0, 1])

    def step(self, entry: ComparisonEntry, token: str, change: Change) -> StepAnswer:
        """Apply a change, unless the comparison has left the place of `entry`."""
        key = keys.comparison_key(entry.id)
        answer: StepAnswer = self._step(key, [token, entry.place, change.dump()]).decode()
        return answer

    def running_batches(self) -> dict[str, list[str]]:
        """Host -> the batches that run there now, as `<job id>/<batch>`."""
        members = []
        for raw in self._redis.zrange(keys.LEASES, 0, -1):
            # The reconciler notes what is broken there.
            with contextlib.suppress(ValueError):
                members.append(keys.split_member(raw))
        found: dict[str, list[str]] = {}
        for (job_id, batch), host in zip(members, self._hosts(members), strict=True):
            if host is not None:
                found.setdefault(host, []).append(f"{job_id}/{batch}")
        return found

    def _hosts(self, members: Sequence[tuple[str, int]]) -> list[str | None]:
        with self._redis.pipeline(transaction=False) as pipe:
            for member in members:
                pipe.hget(keys.batch_key(*member), "epoch")
            epochs = pipe.execute(raise_on_error=False)
        with self._redis.pipeline(transaction=False) as pipe:
            for member, epoch in zip(members, epochs, strict=True):
                number = int(epoch) if isinstance(epoch, bytes) and epoch.isdigit() else 0
                pipe.hget(keys.batch_key(*member), f"owner:{number}")
            owners = pipe.execute(raise_on_error=False)
        return [_host(owner) for owner in owners]


def _host(owner: Any) -> str | None:
    """The host of an owner, None if there is none or it cannot be read."""
    try:
        return str(json.loads(owner)["host"]) if owner else None
    except UNPARSABLE:
        return None


def _snapshot(comparison_id: str, now_ms: int, raw: list[Any] | bytes) -> ComparisonSnapshot:
    if isinstance(raw, bytes):
        raise ValueError(raw.decode(errors="replace"))
    event, flat, samples, analysis = raw
    fields = mapping(flat)
    entry = _parse(comparison_id, fields, samples, analysis or None)
    return ComparisonSnapshot(entry, now_ms, event.decode())


def _parse(
    comparison_id: str,
    raw: Mapping[bytes, bytes],
    samples: Sequence[bytes],
    analysis: bytes | None,
) -> ComparisonEntry:
    notes, environment = (json.loads(raw.get(n, b"null")) for n in (b"notes", b"environment"))
    return ComparisonEntry(
        id=comparison_id,
        state=stored_fields.job_state(raw[b"state"]),
        spec=ComparisonSpec.from_json(json.loads(raw[b"spec"])),
        class_id=raw[b"class"].decode(),
        submitted_ms=stored_fields.time_ms(raw[b"submitted_ms"]),
        started_ms=stored_fields.maybe_time_ms(raw.get(b"started_ms")),
        finished_ms=stored_fields.maybe_time_ms(raw.get(b"finished_ms")),
        cancelled_ms=stored_fields.maybe_time_ms(raw.get(b"cancel")),
        position=int(raw[b"position"]),
        attempt=int(raw[b"attempt"]),
        job_id=raw[b"job"].decode() if b"job" in raw else None,
        ttl_s=int(raw[b"ttl_ms"]) / 1000,
        notes=ExecutionNotes.from_json(notes or {}),
        environment=Environment.from_json(environment) if environment else None,
        error=stored_fields.maybe_error(raw.get(b"error")),
        samples=tuple(Sample.from_json(json.loads(sample)) for sample in samples),
        analysis=json.loads(analysis) if analysis else None,
    )
