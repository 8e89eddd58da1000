"""The reconciler's side of the ledger: expired leases, waiting batches, passed deadlines."""

from typing import Any, NamedTuple

from redis import Redis
from redis.exceptions import ResponseError

from batchpool.ledger import keys
from batchpool.ledger.broken import UNPARSABLE, Broken, is_about_data
from batchpool.ledger.connection import Commands
from batchpool.ledger.jobs import Jobs
from batchpool.ledger.newest_first import readable_ids
from batchpool.ledger.ownership import MOST_LEASE_S
from batchpool.ledger.scripts import LuaScript

MOST_LOST_WORKERS = 20
MOST_LIMIT_S = 2 * 366 * 86_400
"""Longer than any limit that a job can have."""
LAST_MS = 2**53
"""Later than any time."""
NO_KEY = -2
"""PTTL of a key that is not there."""


class ClockReading(NamedTuple):
    """Redis' clock, and by how much its steps so far have moved all deadlines; None: none did."""

    now_ms: int
    moved_ms: int | None


class Waiting(NamedTuple):
    """A batch without an owner; `queue` is the class of workers that it waits for.

    `unfit` are the classes that could not run it when they had it.
    """

    job_id: str
    batch: int
    queue: str
    since_ms: int
    unfit: frozenset[str] = frozenset()


class Recovery:
    """Steps that each check again inside Redis, so that two reconcilers at once do no harm."""

    def __init__(self, redis: Redis) -> None:
        self._redis: Commands = redis
        self._broken = Broken(redis)
        self._expire = LuaScript(redis, "expire")
        self._overdue = LuaScript(redis, "overdue")
        self._move = LuaScript(redis, "move")
        self._shift = LuaScript(redis, "shift")

    def run_id(self) -> str:
        return str(self._redis.info("server")["run_id"])

    def now_ms(self) -> int:
        return Jobs(self._redis).now_ms()

    def read_clock(self) -> ClockReading:
        """Redis' clock, read after `moved_ms`: what is moved later follows a later reading."""
        with self._redis.pipeline(transaction=False) as pipe:
            pipe.hget(keys.CLOCK, "moved")
            pipe.time()
            moved, (seconds, micros) = pipe.execute()
        is_number = moved is not None and moved.removeprefix(b"-").isdigit()
        return ClockReading(seconds * 1000 + micros // 1000, int(moved) if is_number else None)

    def expire_leases(self, limit: int = 1000, until_ms: int = LAST_MS) -> list[Waiting]:
        """Take batches from owners whose lease has expired; return those that are queued again.

        Args:
            until_ms: nothing is done once Redis' clock is past it: it may have been set.
        """
        due = self._redis.zrange(
            keys.LEASES, "-inf", self.now_ms(), byscore=True, offset=0, num=limit
        )
        queued = []
        for member, job_id, batch in self._readable(keys.LEASES, due):
            args = [batch, MOST_LOST_WORKERS, until_ms]
            if self._attempt(self._expire, job_id, args) == b"queued":
                queued.append(member)
        return self._with_queue(keys.LEASES, [(member, 0.0) for member in queued])

    def waiting(self, limit: int = 10_000) -> list[Waiting]:
        """Queued batches without an owner, the longest waiting first."""
        found = self._redis.zrange(keys.WAITING, 0, limit - 1, withscores=True)
        return self._with_queue(keys.WAITING, found)

    def parked(self, limit: int = 10_000) -> list[Waiting]:
        """Parked batches, the longest parked first."""
        found = self._redis.zrange(keys.PARKED, 0, limit - 1, withscores=True)
        return self._with_queue(keys.PARKED, found)

    def park(self, job_id: str, batch: int, reason: str, unfit: str = "") -> None:
        """Make a queued batch wait until workers that can run it are live.

        Args:
            unfit: a class of workers that has found that it cannot run the batch.
        """
        self._attempt(self._move, job_id, [batch, "park", reason, unfit])

    def move(self, job_id: str, batch: int, queue: str, code: str = "") -> bool:
        """Let a queued or parked batch wait for the class `queue`; it must be enqueued after.

        Args:
            code: the version of its task there.

        Returns:
            False when the batch does not wait any more, or its job began with another version.
        """
        args = [batch, "queue", queue, code]
        return bool(self._attempt(self._move, job_id, args) == b"yes")

    def bound_to(self, job_id: str) -> str | None:
        """The version of its task with which a job has begun; None if it has not."""
        code = self._redis.hget(keys.job_key(job_id), "code")
        return code.decode() if code else None

    def expire_deadlines(self, limit: int = 1000, until_ms: int = LAST_MS) -> int:
        """End the unowned batches of jobs past `timeout_s` or `queue_timeout_s`; count the jobs.

        Args:
            until_ms: nothing is ended once Redis' clock is past it: it may have been set.
        """
        due = self._redis.zrange(
            keys.DEADLINES, "-inf", self.now_ms(), byscore=True, offset=0, num=limit
        )
        self._check_deadlines(due, until_ms)
        return len(due)

    def check_scores(self, lease_s: float) -> None:
        """Put right what an index says about leases and limits that lie absurdly far ahead.

        Args:
            lease_s: what is left of a lease that no worker can have asked for.
        """
        now_ms = self.now_ms()
        beyond = f"({now_ms + MOST_LEASE_S * 1000}"
        for member in self._redis.zrange(keys.LEASES, beyond, "+inf", byscore=True):
            reason = "its lease ended too far ahead; it was cut"
            self._broken.note("member", keys.LEASES, member, reason, is_moved=True)
            # Not longer than it is meanwhile: its owner may have renewed it.
            new = {member: now_ms + int(lease_s * 1000)}
            self._redis.zadd(keys.LEASES, new, xx=True, lt=True)
        beyond = f"({now_ms + MOST_LIMIT_S * 1000}"
        far = self._redis.zrange(keys.DEADLINES, beyond, "+inf", byscore=True, offset=0, num=1000)
        self._check_deadlines(far, LAST_MS)

    def _check_deadlines(self, members: list[bytes], until_ms: int) -> None:
        for job_id in readable_ids(self._redis, keys.DEADLINES, members, keys.job_id_of):
            self._attempt(self._overdue, job_id, [until_ms])

    def shift(self, step_ms: int, fresh_ms: int, lease_s: float, moved_ms: int | None) -> bool:
        """Move all deadlines after Redis' clock was set; False if others have moved them meanwhile.

        Args:
            step_ms: by how much it was moved.
            fresh_ms: for how long at most the new time has been in use.
            moved_ms: what the reading said by which the step was found.
        """
        args = [step_ms, fresh_ms, int(lease_s * 1000), "" if moved_ms is None else moved_ms]
        return bool(self._shift(keys.DEADLINES, args))

    def forget_finished(self) -> int:
        """Remove jobs and comparisons whose keys have expired from the indices; count them."""
        now_ms = self.now_ms()
        due = self._redis.zrange(keys.FINISHED, "-inf", now_ms, byscore=True)
        with self._redis.pipeline(transaction=False) as pipe:
            for key in due:
                pipe.pttl(key)
            left_ms = pipe.execute()
        # An entry may be wrong: what is there stays in its list.
        kept = {key: now_ms + left for key, left in zip(due, left_ms, strict=True) if left > 0}
        gone = [key for key, left in zip(due, left_ms, strict=True) if left == NO_KEY]
        # No MULTI: before version 7, a full Redis refuses even what frees memory in one.
        with self._redis.pipeline(transaction=False) as pipe:
            if gone:
                pipe.zrem(keys.JOBS, *gone)
                pipe.zrem(keys.COMPARISONS, *gone)
            if due:
                pipe.zrem(keys.FINISHED, *due)
            if kept:
                pipe.zadd(keys.FINISHED, kept)
            pipe.execute()
        return len(gone)

    def _attempt(self, script: LuaScript, job_id: str, args: list[Any]) -> Any:
        """What a step of a job answers; None where its data do not let it be done."""
        try:
            return script(keys.job_key(job_id), args)
        except ResponseError as error:
            if not is_about_data(error):
                raise
            self._broken.note_error("job", keys.job_key(job_id), b"", error)
            return None

    def _readable(self, index: str, members: list[bytes]) -> list[tuple[bytes, str, int]]:
        found = []
        for member in members:
            try:
                found.append((member, *keys.split_member(member)))
            except ValueError as error:
                self._broken.note_error("member", index, member, error)
        return found

    def _with_queue(self, index: str, members: list[tuple[bytes, float]]) -> list[Waiting]:
        since = dict(members)
        batches = self._readable(index, list(since))
        with self._redis.pipeline(transaction=False) as pipe:
            for _, job_id, batch in batches:
                pipe.hmget(keys.batch_key(job_id, batch), "queue", "unfit")
            found = pipe.execute(raise_on_error=False)
        waiting = []
        for (member, job_id, batch), fields in zip(batches, found, strict=True):
            try:
                queue, unfit = fields
                if queue is None:
                    self._note_dangling(index, member)
                    continue
                classes = frozenset((unfit or b"").decode().split())
                since_ms = int(max(0, min(since[member], 2**53)))
                waiting.append(Waiting(job_id, batch, queue.decode(), since_ms, classes))
            except UNPARSABLE as error:
                self._broken.note_error("job", keys.job_key(job_id), b"", error)
        return waiting

    def _note_dangling(self, index: str, member: bytes) -> None:
        # Looked at again: the job may have ended between the two reads.
        if self._redis.zscore(index, member) is not None:
            self._broken.note("member", index, member, "there is no such batch")
