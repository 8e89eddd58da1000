"""The reconciler's side of the ledger: expired leases, waiting batches, passed deadlines."""

from typing import NamedTuple

from redis import Redis

from batchpool.ledger import keys
from batchpool.ledger.connection import Commands
from batchpool.ledger.jobs import Jobs
from batchpool.ledger.scripts import LuaScript

MOST_LOST_WORKERS = 20


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
        self._expire = LuaScript(redis, "expire")
        self._overdue = LuaScript(redis, "overdue")
        self._move = LuaScript(redis, "move")

    def run_id(self) -> str:
        return str(self._redis.info("server")["run_id"])

    def now_ms(self) -> int:
        return Jobs(self._redis).now_ms()

    def expire_leases(self, limit: int = 1000) -> list[Waiting]:
        """Take batches from owners whose lease has expired; return those that are queued again."""
        due = self._redis.zrange(
            keys.LEASES, "-inf", self.now_ms(), byscore=True, offset=0, num=limit
        )
        queued = []
        for member in due:
            job_id, batch = keys.split_member(member)
            args = [batch, MOST_LOST_WORKERS]
            if self._expire(keys.job_key(job_id), args) == b"queued":
                queued.append(member)
        return self._with_queue([(member, 0.0) for member in queued])

    def waiting(self, limit: int = 10_000) -> list[Waiting]:
        """Queued batches without an owner, the longest waiting first."""
        return self._with_queue(self._redis.zrange(keys.WAITING, 0, limit - 1, withscores=True))

    def parked(self, limit: int = 10_000) -> list[Waiting]:
        """Parked batches, the longest parked first."""
        return self._with_queue(self._redis.zrange(keys.PARKED, 0, limit - 1, withscores=True))

    def park(self, job_id: str, batch: int, reason: str, unfit: str = "") -> None:
        """Make a queued batch wait until workers that can run it are live.

        Args:
            unfit: a class of workers that has found that it cannot run the batch.
        """
        self._move(keys.job_key(job_id), [batch, "park", reason, unfit])

    def move(self, job_id: str, batch: int, queue: str, code: str = "") -> bool:
        """Let a queued or parked batch wait for the class `queue`; it must be enqueued after.

        Args:
            code: the version of its task there.

        Returns:
            False when the batch does not wait any more, or its job began with another version.
        """
        args = [batch, "queue", queue, code]
        return bool(self._move(keys.job_key(job_id), args) == b"yes")

    def bound_to(self, job_id: str) -> str | None:
        """The version of its task with which a job has begun; None if it has not."""
        code = self._redis.hget(keys.job_key(job_id), "code")
        return code.decode() if code else None

    def expire_deadlines(self, limit: int = 1000) -> int:
        """End the unowned batches of jobs past `timeout_s` or `queue_timeout_s`; count the jobs."""
        due = self._redis.zrange(
            keys.DEADLINES, "-inf", self.now_ms(), byscore=True, offset=0, num=limit
        )
        for job in due:
            self._overdue(job)
        return len(due)

    def forget_finished(self) -> int:
        """Remove jobs and comparisons whose keys have expired from the indices; count them."""
        gone = self._redis.zrange(keys.FINISHED, "-inf", self.now_ms(), byscore=True)
        if gone:
            # No MULTI: before version 7, a full Redis refuses even what frees memory in one.
            with self._redis.pipeline(transaction=False) as pipe:
                pipe.zrem(keys.JOBS, *gone)
                pipe.zrem(keys.COMPARISONS, *gone)
                pipe.zrem(keys.FINISHED, *gone)
                pipe.execute()
        return len(gone)

    def _with_queue(self, members: list[tuple[bytes, float]]) -> list[Waiting]:
        with self._redis.pipeline(transaction=False) as pipe:
            for member, _ in members:
                pipe.hmget(keys.batch_key(*keys.split_member(member)), "queue", "unfit")
            found = pipe.execute()
        return [
            Waiting(
                *keys.split_member(member),
                queue.decode(),
                int(since),
                frozenset((unfit or b"").decode().split()),
            )
            for (member, since), (queue, unfit) in zip(members, found, strict=True)
            if queue is not None
        ]
