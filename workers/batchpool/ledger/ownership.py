"""Steps of the owner of a batch: claim, flush blocks of records, renew, end, release."""

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from json import dumps, loads
from typing import Any, Literal, NamedTuple

from redis import Redis
from redis.exceptions import ResponseError

from batchpool.ledger import keys
from batchpool.ledger.blocks.bitmap import bit_segments, set_bits
from batchpool.ledger.blocks.block_head import BlockHead
from batchpool.ledger.blocks.columns import Columns
from batchpool.ledger.blocks.record_codec import Logs, encode_columns
from batchpool.ledger.broken import UNPARSABLE, Broken, is_about_data
from batchpool.ledger.scripts import LuaScript, counted_words, mapping
from batchpool.ledger.values.job_entries import Owner, Report, Tally
from batchpool.ledger.values.job_spec import JobSpec
from batchpool.model import Outcome, RunSpec, TaskError

OTHER_VERSION = "other version"
"""Why there is no claim: the job has begun with another version of its task."""
NO_SECOND_TRY = "no second try"
"""Why there is no claim: the batch was begun twice already, or an item was recorded."""
DUE = "due"
"""Why there is no claim: the batch must end, but its owner has records to write before."""
BROKEN, CRASHED, STOPPED = "broken", "crashed", "stopped"
"""Why an epoch ended whose runner is replaced: it failed before it ran an item, it died, or it
was killed at a limit, a cancel or the end of a drain, and left records to be written."""
LEASE_S = 8.0
"""The time for which a silent owner keeps its batch; the default of BATCHPOOL_LEASE_S."""
MOST_LEASE_S = 3600


@dataclass(frozen=True)
class Claim:
    """An owned batch: everything needed to run it, and the token that authorizes its writes.

    `done` holds the job-wide indices that are recorded already; `listed` says that the items were
    given one by one; `claimed_ms` is Redis' time, `left_ms` what was left of the job's limit then;
    `in_flight` what a former owner, which died, ran when it last renewed its lease; `reduced` the
    states of reducers by name.
    """

    job_id: str
    batch: int
    token: str
    epoch: int
    run: RunSpec
    first: int
    count: int
    listed: bool
    done: frozenset[int]
    tally: Tally
    claimed_ms: int
    left_ms: int
    in_flight: frozenset[int] = frozenset()
    reduced: dict[str, bytes] = field(default_factory=dict)


class Renewal(NamedTuple):
    """The answer to a renewal.

    Args:
        is_owner: whether the claim is still valid.
        cancel: what cancelled the job: user, error or ''.
        left_ms: until the job's time limit.
        closed: why the claim is not valid: its owner has ended the batch by its last block.
    """

    is_owner: bool
    cancel: str
    left_ms: int
    closed: bool = False


@dataclass(frozen=True)
class Block:
    """Records to be written; sent again under the same id when an answer was lost.

    `reduced` are the states of the reducers that they changed, by name.
    """

    id: str
    head: str
    payload: bytes
    size: int
    segments: list[tuple[int, bytes]]
    reduced: dict[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Ending:
    """The end of a batch; `rest` is the state of items without a record, None if all have one."""

    state: Literal["succeeded", "failed", "cancelled"]
    report: Report
    rest: Literal["cancelled", "timeout"] | None = None
    error: TaskError | None = None
    stop_job: bool = False


EMPTY_BLOCK = Block("", "", b"", 0, [])


class Ownership:
    """The owner's side of the ledger. A `stale` answer means that another worker owns the batch."""

    def __init__(self, redis: Redis, lease_s: float = LEASE_S) -> None:
        self._redis = redis
        self._lease_ms = int(lease_s * 1000)
        self._broken = Broken(redis)
        self._claim = LuaScript(redis, "claim")
        self._flush = LuaScript(redis, "flush")
        self._renew = LuaScript(redis, "renew")
        self._finish = LuaScript(redis, "finish")
        self._note = LuaScript(redis, "note")

    def claim(  # noqa: PLR0913
        self,
        job_id: str,
        batch: int,
        owner: Owner,
        follows: Claim | None = None,
        codes: str = "",
        second_try: str = "",
        nonce: str = "",
        unqueueing: Iterable[Sequence[str]] = (),
        was_stopped: bool = False,
        has_kept: bool = False,
    ) -> Claim | str:
        """Claim a batch; or say why not: missing, unreadable, ended, overdue, OTHER_VERSION, state.

        Args:
            codes: JSON of the version of each task here, without blanks; a job that has not begun
                yet is bound to that of its task.
            follows: our claim whose runner is replaced; nothing that it still sends is taken.
            second_try: why no item began under that claim; NO_SECOND_TRY if one was recorded or
                the batch was begun twice.
            nonce: of an earlier call whose answer was lost; if it took effect, this is its answer.
            unqueueing: the commands that take the batch's message out of its queue; they are
                carried out in the same step, but for a batch that is unreadable.
            was_stopped: claimed for the records that the runner of `follows` left, even if the
                job is cancelled or its limit has passed.
            has_kept: there are such records; a batch that must end does not before: DUE.
        """
        reason = STOPPED if was_stopped else BROKEN if second_try else CRASHED
        reason, token = reason + ",kept" * has_kept, follows.token if follows else ""
        known = {**owner, "lease_ms": self._lease_ms}
        args = [batch, nonce or new_nonce(), self._lease_ms, dumps(known), token, reason]
        args += [codes, second_try, *counted_words(unqueueing)]
        try:
            return self._claimed(job_id, batch, self._claim(keys.job_key(job_id), args))
        except (ResponseError, *UNPARSABLE) as error:
            if isinstance(error, ResponseError) and not is_about_data(error):
                raise
            self._broken.note_batch(job_id, batch, error)
            return "unreadable"

    def _claimed(self, job_id: str, batch: int, answer: list[Any]) -> Claim | str:
        if answer[0] == b"no":
            return str(answer[1].decode())
        _, now, token, spec, deadline, listed, flat, bitmap, reduced, _ = answer
        raw = mapping(flat)
        first = int(raw[b"first"])
        return Claim(
            job_id=job_id,
            batch=batch,
            token=token.decode(),
            epoch=int(raw[b"epoch"]),
            run=JobSpec.from_json(loads(spec)).run_spec(),
            first=first,
            count=int(raw[b"count"]),
            listed=bool(listed),
            done=frozenset(first + position for position in set_bits(bitmap)),
            tally=Tally.parse(raw.get(b"tally")),
            claimed_ms=int(now),
            left_ms=int(deadline) - int(now),
            in_flight=frozenset(map(int, loads(raw.get(b"in_flight", b"[]")))),
            reduced={name.decode(): state for name, state in mapping(reduced).items()},
        )

    def recorded(self, claim: Claim) -> frozenset[int]:
        """The job-wide indices that are recorded now."""
        bitmap: Any = self._redis.get(keys.batch_key(claim.job_id, claim.batch) + ":bits")
        return frozenset(claim.first + position for position in set_bits(bitmap or b""))

    def flush(self, claim: Claim, block: Block, tally: Tally, ending: Ending | None = None) -> str:
        """Write a block of records; with `ending`, close the batch in the same step.

        Returns:
            ok, again (it is there already), stale, double or short; the last three changed nothing.
        """
        segments = [part for segment in block.segments for part in segment]
        args = [claim.batch, claim.token, block.id, block.head, block.payload, block.size]
        args += [tally.dump(), len(block.segments), *segments, *_ending_args(ending)]
        args += [part for pair in block.reduced.items() for part in pair]
        return str(self._flush(keys.job_key(claim.job_id), args).decode())

    def renew(self, claim: Claim, in_flight: str = "") -> Renewal:
        """Extend the lease.

        Args:
            in_flight: for the next owner, should this one die: the indices of what runs, as a JSON
                list; '' if they are as they were.
        """
        args = [claim.batch, claim.token, self._lease_ms, in_flight]
        word, cancel, left = self._renew(keys.job_key(claim.job_id), args)
        return Renewal(word == b"ok", cancel.decode(), int(left), word == b"closed")

    def release(self, claim: Claim, untouched: bool = False) -> bool:
        """Give the batch back for another worker to continue; False if it was not owned.

        Args:
            untouched: no item ran under this claim, so that it does not bind the job to our code.
        """
        return self._give_up(claim, ["release", "untouched" if untouched else "", "", ""])

    def end(self, claim: Claim, ending: Ending) -> bool:
        """End the batch without a last block; False if it was not owned."""
        return self._give_up(claim, _ending_args(ending)[:4])

    def note_leftovers(self, claim: Claim, leftovers: Sequence[str]) -> None:
        """Add what tasks left behind to a batch that was closed under this claim."""
        self._note(keys.job_key(claim.job_id), [claim.batch, claim.token, dumps(leftovers)])

    def note_broken(self, claim: Claim, error: Exception | None = None) -> str:
        """List the job as broken if data in Redis, or `error`, say so; returns what is broken."""
        return self._broken.note_batch(claim.job_id, claim.batch, error)

    def _give_up(self, claim: Claim, how: list[Any]) -> bool:
        args = [claim.batch, claim.token, *how]
        return bool(self._finish(keys.job_key(claim.job_id), args) == b"ok")


def new_nonce() -> str:
    """The random part of a token."""
    return secrets.token_hex(8)


def _ending_args(ending: Ending | None) -> list[Any]:
    if ending is None:
        return ["", "", "", "", ""]
    error = dumps(ending.error) if ending.error else ""
    report = dumps(ending.report)
    return [ending.state, ending.rest or "", error, report, int(ending.stop_job)]


def make_block(
    claim: Claim, number: int, outcomes: Sequence[Outcome], epoch_start_ns: int
) -> Block:
    """Pack outcomes into the block `number` of this claim, counted from 1.

    Args:
        epoch_start_ns: the monotonic clock at the claim, on the machine that ran the tasks.
    """
    return make_block_of(claim, number, Columns.of(outcomes), epoch_start_ns, {})


def make_block_of(
    claim: Claim,
    number: int,
    made: Columns,
    epoch_start_ns: int,
    logs: Logs,
) -> Block:
    """Pack outcomes that are columns already, and the logs of some; as `make_block`."""
    return Block(
        id=f"{claim.epoch}.{number}",
        head=BlockHead.of(claim.epoch, made, epoch_start_ns, len(logs)).dump(),
        payload=encode_columns(made, epoch_start_ns, logs),
        size=len(made.indices),
        segments=bit_segments([index - claim.first for index in made.indices]),
    )
