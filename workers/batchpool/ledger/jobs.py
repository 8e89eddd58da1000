"""Jobs: written in one step, read as of one moment, cancelled and deleted."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import chain
from json import loads
from typing import Any, Literal, NamedTuple

from redis import Redis
from redis.exceptions import NoScriptError, ResponseError

from batchpool.ledger import keys
from batchpool.ledger.blocks.item_codec import (
    ITEMS_PER_BLOCK,
    ItemsBroken,
    part_field,
    unpack_items,
)
from batchpool.ledger.blocks.stored_items import KEPT_PARTS, StoredItems, patiently
from batchpool.ledger.broken import UNPARSABLE, Broken, is_about_data
from batchpool.ledger.connection import UNREACHABLE, Commands, round_trips
from batchpool.ledger.job_creation import (
    Bulk,
    CapacityLimits,
    Created,
    IdempotencyKey,
    create_arguments,
    parse_created,
)
from batchpool.ledger.newest_first import page_of_ids
from batchpool.ledger.scripts import LuaScript, mapping
from batchpool.ledger.values.job_entries import (
    JobEntry,
    NewJob,
    parse_batch,
    parse_job,
)
from batchpool.ledger.values.job_spec import JobSpec
from batchpool.ledger.values.stored_fields import job_state, time_ms

HASHES_PER_READ = 1000
BulkAction = Literal["cancel", "delete"]


class Snapshot(NamedTuple):
    """A job at one moment: `now_ms` of Redis' clock, just after the event with the id `event`."""

    job: JobEntry
    now_ms: int
    event: str


class Header(NamedTuple):
    """State, spec and time of submission of a job, without its batches."""

    state: str
    spec: JobSpec
    submitted_ms: int


class Jobs:
    """The jobs in one Redis."""

    def __init__(self, redis: Redis) -> None:
        self._redis: Commands = redis
        self._exchange = round_trips(redis)
        self.broken = Broken(redis)
        self._create = LuaScript(redis, "create")
        self._read = LuaScript(redis, "read")
        self._cancel = LuaScript(redis, "cancel")
        self._delete = LuaScript(redis, "delete")

    def now_ms(self) -> int:
        """Redis' clock."""
        seconds, micros = self._redis.time()
        return int(seconds) * 1000 + int(micros) // 1000

    def create(
        self,
        new: NewJob | Bulk,
        queueing: Iterable[Sequence[Any]] = (),
        key: IdempotencyKey | None = None,
        room: CapacityLimits | None = None,
        dry_run: bool = False,
    ) -> Created:
        """Write jobs and carry out `queueing` in one step, or do nothing; return what exists now.

        An existing job with this id stays as it is. A dry run writes nothing, and raises the same.

        Args:
            queueing: the commands that put the batches into their queues, word by word.

        Raises:
            KeyReused, KeyBroken: `key` was used for another body, or that is not known.
            LimitExceeded: the job would exceed the limits of `room`.
            UploadLost: its items came before, and some are gone.
        """
        bulk = new if isinstance(new, Bulk) else Bulk(new.id, [new])
        args = create_arguments(bulk, queueing, key, room, dry_run)
        return parse_created(bulk.name, self._create(keys.job_key(bulk.jobs[0].id), args), key)

    def load(self, job_id: str) -> JobEntry | None:
        """The job with its batches."""
        snapshot = self.load_snapshot(job_id)
        return snapshot.job if snapshot else None

    def load_snapshot(self, job_id: str) -> Snapshot | None:
        """The job and its batches, all as of the same moment."""
        return self._load_first([job_id], with_reduced=True)[0]

    def load_many(self, job_ids: Sequence[str]) -> list[JobEntry | None]:
        """The jobs with these ids without what was reduced, in few round trips."""
        found: list[JobEntry | None] = []
        while len(found) < len(job_ids):
            seen = self._load_first(job_ids[len(found) :], with_reduced=False)
            found += [snapshot.job if snapshot else None for snapshot in seen]
        return found

    def _load_first(self, job_ids: Sequence[str], with_reduced: bool) -> list[Snapshot | None]:
        """The first of these jobs: at least one, and as many as block Redis for a moment only."""
        names = [keys.job_key(job_id) for job_id in job_ids]
        how = "whole" if with_reduced else "summary"
        now, *found = self._read(names[0], [HASHES_PER_READ, how, *names])
        return [
            self._snapshot(job_id, int(now), raw)
            for job_id, raw in zip(job_ids, found, strict=False)
        ]

    def _snapshot(self, job_id: str, now_ms: int, raw: list[Any] | bytes | None) -> Snapshot | None:
        note = partial(self.broken.note_error, "job", keys.job_key(job_id), b"")
        try:
            return _snapshot(job_id, now_ms, raw, note)
        except UNPARSABLE as error:
            note(error)
            return None

    def state(self, job_id: str) -> str | None:
        """The state of a job, None if there is none."""
        state = self._redis.hget(keys.job_key(job_id), "state")
        return state.decode() if state else None

    def wait_ended(self, job_id: str, block_ms: int) -> Snapshot | None:
        """The job, once it has ended; None if it has not within `block_ms`, or is unknown.

        It is read in the same round trip: the server goes on with that as soon as the job ends.
        """
        key = keys.job_key(job_id)
        wait = ["XREAD", "COUNT", 1, "BLOCK", max(1, block_ms), "STREAMS", key + ":end", "0-0"]
        read = self._read.command(key, [HASHES_PER_READ, "ended", key])
        ended, answer = self._exchange(wait, read)
        if isinstance(answer, NoScriptError):
            return self.load_snapshot(job_id) if ended else None
        for error in (ended, answer):
            if isinstance(error, Exception):
                raise error
        now, raw = answer
        return self._snapshot(job_id, int(now), raw)

    def load_headers(self, job_ids: Sequence[str]) -> list[Header | None]:
        """State and spec of jobs, to filter a list by, at a fraction of the cost of whole jobs."""
        with self._redis.pipeline(transaction=False) as pipe:
            for job_id in job_ids:
                pipe.hmget(keys.job_key(job_id), "state", "spec", "submitted_ms")
            answers = pipe.execute(raise_on_error=False)
        found = zip(job_ids, answers, strict=True)
        return [self._header(job_id, answer) for job_id, answer in found]

    def _header(self, job_id: str, answer: Any) -> Header | None:
        try:
            state, spec, submitted = answer
            if state is None and spec is None:
                return None
            return Header(job_state(state), JobSpec.from_json(loads(spec)), time_ms(submitted))
        except UNPARSABLE as error:
            self.broken.note_error("job", keys.job_key(job_id), b"", error)
            return None

    def page(self, limit: int, before: str | None = None) -> list[str]:
        """Ids, newest first, from the one after `before`; empty when `before` is unknown."""
        after = keys.job_key(before) if before is not None else None
        return page_of_ids(self._redis, keys.JOBS, limit, after, keys.job_id_of)

    def has_given_items(self, job_id: str) -> bool:
        """Whether the items of a job were given one by one: else they are the numbers 0 … n-1."""
        key = keys.job_key(job_id)
        with self._redis.pipeline(transaction=False) as pipe:
            pipe.hexists(key, "item_blocks")
            pipe.exists(key + ":items")
            return any(pipe.execute())

    def items(
        self, job_id: str, first: int, count: int, retry_after_s: float | None = None
    ) -> Sequence[Any]:
        """The items with the indices first … first + count - 1; many are read as they are needed.

        Args:
            retry_after_s: the pause after which Redis is asked again when it cannot be reached;
                default: that is an error, now and while items are read.
        Raises:
            ItemsBroken: they cannot be read.
        """
        last = first + count - 1
        numbers = range(first // ITEMS_PER_BLOCK, last // ITEMS_PER_BLOCK + 1)
        read, has_field = self._read_blocks, self._redis.hexists
        if retry_after_s is not None:
            read = patiently(read, UNREACHABLE, retry_after_s)
            has_field = patiently(has_field, UNREACHABLE, retry_after_s)
        key = keys.job_key(job_id) + ":items"
        load = partial(self._load_part, key)
        few = len(numbers) <= KEPT_PARTS
        listed, raw = read(job_id, numbers if few else numbers[:1])
        if not listed and raw[0] is None:
            return range(first, first + count)
        if not few:
            return StoredItems(load, first, count, retry_after_s)
        # A list is quicker, and what is broken is found before anything runs.
        blocks = [self._unpacked(key, *each) for each in zip(map(str, numbers), raw, strict=True)]
        whole = [ITEMS_PER_BLOCK] * (len(numbers) - 1) + [last % ITEMS_PER_BLOCK + 1]
        missing = sum(max(0, need - len(b)) for need, b in zip(whole, blocks, strict=True))
        if not missing:
            skip = first % ITEMS_PER_BLOCK
            return list(chain.from_iterable(blocks))[skip : skip + count]
        if not any(has_field(key, part_field(number, 1)) for number in numbers):
            raise ItemsBroken(f"{missing} of the items {first} to {last} are missing")
        return StoredItems(load, first, count, retry_after_s)

    def _read_blocks(self, job_id: str, numbers: range) -> tuple[bool, list[bytes | None]]:
        """Whether the job says that it has blocks, and those with these numbers."""
        key = keys.job_key(job_id)
        with self._redis.pipeline(transaction=False) as pipe:
            pipe.hexists(key, "item_blocks")
            pipe.hmget(key + ":items", [str(number) for number in numbers])
            listed, raw = pipe.execute(raise_on_error=False)
        if isinstance(raw, Exception) and not is_about_data(raw):
            raise raw
        readable = isinstance(raw, list)
        return bool(listed) or not readable, raw if readable else [None] * len(numbers)

    def _load_part(self, key: str, block: int, part: int) -> Sequence[Any]:
        field = part_field(block, part)
        return self._unpacked(key, field, self._redis.hget(key, field))

    def _unpacked(self, key: str, field: str, block: bytes | None) -> list[Any]:
        try:
            return unpack_items(block)
        except ItemsBroken as error:
            self.broken.note_error("block", key, field.encode(), error)
            raise

    def cancel(self, job_id: str) -> str:
        """Cancel a job: `cancelled` (each time while it runs), `terminal` or `missing`."""
        return str(self._cancel(keys.job_key(job_id)).decode())

    def delete(self, job_id: str) -> str:
        """Delete a terminal job: `deleted`, `running` (then nothing was done) or `missing`."""
        return str(self._delete(keys.job_key(job_id)).decode())

    def ask(self, action: BulkAction, job_ids: Sequence[str]) -> None:
        """Have the reconciler cancel or delete these jobs, as far as they can be then."""
        if job_ids:
            self._redis.sadd(keys.BULK, *(f"{action}|{job_id}" for job_id in job_ids))

    def carry_out(self, limit: int) -> int:
        """Do up to `limit` of what was asked for; returns how much that was."""
        asked = self._redis.srandmember(keys.BULK, limit)
        for member in asked:
            action, _, job_id = member.decode(errors="replace").partition("|")
            try:
                if action == "cancel":
                    self.cancel(job_id)
                elif action == "delete":
                    self.delete(job_id)
            except ResponseError as error:
                if not is_about_data(error):
                    raise
                self.broken.note_error("job", keys.job_key(job_id), b"", error)
        # Only now: who dies before leaves it to the next pass, and nothing is done twice.
        if asked:
            self._redis.srem(keys.BULK, *asked)
        return len(asked)


def _snapshot(
    job_id: str, now_ms: int, raw: list[Any] | bytes | None, note: Callable[[Exception], None]
) -> Snapshot | None:
    if not raw:
        return None
    if isinstance(raw, bytes):
        raise ValueError(raw.decode(errors="replace"))
    event, job, *batches = raw
    # A job can be read without these.
    for found in (event, *(states for _, states in batches)):
        if isinstance(found, bytes) and not found[:1].isdigit():
            note(ResponseError(found.decode()))
    entries = [
        parse_batch(index, mapping(fields), {} if isinstance(states, bytes) else mapping(states))
        for index, (fields, states) in enumerate(batches)
    ]
    last = event.decode() if event[:1].isdigit() else "0-0"
    return Snapshot(parse_job(job_id, mapping(job), entries), now_ms, last)
