"""RQ as transport: put messages into queues, take them out, read what is queued."""

from collections.abc import Iterable
from typing import Any, cast

from redis import Redis
from redis.client import Pipeline
from rq import Queue
from rq.job import Job
from rq.worker_registration import REDIS_WORKER_KEYS, WORKERS_BY_QUEUE_KEY

from batchpool.ledger.broken import Broken
from batchpool.ledger.connection import Commands
from batchpool.ledger.keys import QUEUE
from batchpool.queue.messages import Release, Reserve, encode, rq_id

MESSAGE_TTL_S = 86_400
_POPPED = ":intermediate"
"""The end of the key of the list of what was popped from a queue and not dealt with yet."""
MOST_WORDS = 1000
"""Ids in one command: a script that carries it out cannot unpack many thousands."""


def queue_name(class_id: str) -> str:
    """The name of the RQ queue of a class of workers."""
    return QUEUE + class_id


def enqueue_commands(
    class_id: str, batches: Iterable[tuple[str, int]], at_front: bool = False
) -> list[list[str]]:
    """The commands that put (job id, batch) into the queue of a class, word by word.

    An id says everything, so no RQ job is stored for it: that was a third of what a job cost Redis.

    Args:
        at_front: before what waits already.
    """
    names = [rq_id(job_id, batch) for job_id, batch in batches]
    key, push = _queue_key(class_id), "LPUSH" if at_front else "RPUSH"
    pushes = range(0, len(names), MOST_WORDS)
    return [
        ["SADD", Queue.redis_queues_keys, key],
        *([push, key, *names[at : at + MOST_WORDS]] for at in pushes),
    ]


def pop(redis: Redis, class_id: str, timeout_s: float) -> str | None:
    """The id of the next message of a class; None if there is none in time.

    As RQ pops: the id stays among those that were popped until the message has been dealt with.

    Raises:
        UnicodeDecodeError: it is no id of ours.
    """
    words, _ = pop_command(class_id, timeout_s)
    commands: Commands = redis
    name: bytes | None = commands.execute_command(*words)
    return None if name is None else name.decode()


def pop_command(class_id: str, timeout_s: float) -> tuple[list[str], str]:
    """The command of `pop`, word by word, and the list at whose end it puts the id."""
    key = _queue_key(class_id)
    return ["BLMOVE", key, key + _POPPED, "LEFT", "RIGHT", str(timeout_s)], key + _POPPED


def unqueueing_commands(class_id: str, name: str) -> list[list[str]]:
    """The commands, word by word, that forget a message that was popped."""
    # All copies: a worker that died may have left one. Former versions stored a job for a batch.
    return [["LREM", _queue_key(class_id) + _POPPED, "0", name], ["UNLINK", Job.key_for(name)]]


def send(redis: Redis, class_id: str, message: Reserve | Release) -> None:
    """Put a message for one worker into the queue of a class, replacing an older copy."""
    envelope = encode(message)
    data = Queue.prepare_data(
        envelope.function,
        args=envelope.args,
        result_ttl=0,
        ttl=MESSAGE_TTL_S,
        description=envelope.rq_id,
        job_id=envelope.rq_id,
    )
    with redis.pipeline(transaction=True) as pipe:
        _take_out(pipe, class_id, envelope.rq_id)
        queue_of(redis, class_id).enqueue_many([data], pipeline=pipe)
        pipe.execute()


def queue_of(redis: Redis, class_id: str) -> Queue:
    """The RQ queue of a class of workers."""
    queue = Queue(queue_name(class_id), connection=redis, serializer="json")
    # Set, since RQ asks the server otherwise, once for each new client.
    queue.redis_server_version = (6, 2, 0)
    return queue


def drop_queue(redis: Redis, class_id: str) -> None:
    """Remove the queue of a class that has ended for good, with everything in it."""
    queued, popped = queued_ids(redis, class_id)
    forget(redis, class_id, queued | popped)
    redis.srem(Queue.redis_queues_keys, _queue_key(class_id))


def enqueue_again(redis: Redis, class_id: str, batches: Iterable[tuple[str, int]]) -> None:
    """Put batches back into the queue of a class, each once, even if RQ still has some."""
    members = list(batches)
    with redis.pipeline(transaction=True) as pipe:
        for job_id, batch in members:
            _take_out(pipe, class_id, rq_id(job_id, batch))
        # They have waited before: a batch must not wait again because its worker died.
        for words in enqueue_commands(class_id, members, at_front=True):
            cast(Commands, pipe).execute_command(*words)
        pipe.execute()


def queued_ids(redis: Redis, class_id: str) -> tuple[frozenset[str], frozenset[str]]:
    """The RQ ids in the queue of a class, and those that were popped but not claimed yet.

    The lists are read as they are: asking RQ's registries changes them.
    """
    key = _queue_key(class_id)
    with redis.pipeline(transaction=True) as pipe:
        pipe.lrange(key, 0, -1)
        pipe.lrange(key + _POPPED, 0, -1)
        waiting, popped = cast(list[list[bytes]], pipe.execute())
    return _decoded(waiting), _decoded(popped)


def key_types(class_ids: Iterable[str]) -> dict[str, str]:
    """RQ's keys of these classes, and the types that they must have."""
    found = {Queue.redis_queues_keys: "set", REDIS_WORKER_KEYS: "set"}
    for class_id in class_ids:
        key = _queue_key(class_id)
        found |= {key: "list", key + _POPPED: "list"}
        found[WORKERS_BY_QUEUE_KEY % queue_name(class_id)] = "set"
    return found


def known_classes(redis: Redis) -> list[str]:
    """The classes for which a batch was ever queued."""
    prefix = _queue_key("")
    names = _decoded(redis.smembers(Queue.redis_queues_keys))
    return sorted(name.removeprefix(prefix) for name in names if name.startswith(prefix))


def forget_workers(redis: Redis, class_ids: Iterable[str]) -> None:
    """Drop the names of killed workers, of these classes: RQ drops those that leave."""
    for key in (
        REDIS_WORKER_KEYS,
        *(WORKERS_BY_QUEUE_KEY % queue_name(each) for each in class_ids),
    ):
        names = list(redis.smembers(key))
        with redis.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.exists(name)
            gone = [name for name, there in zip(names, pipe.execute(), strict=True) if not there]
        if gone:
            redis.srem(key, *gone)


def forget_empty_queues(redis: Redis, class_ids: Iterable[str]) -> None:
    """Drop the names of empty queues; the next batch adds the name of its queue again."""
    for class_id in class_ids:
        if not any(queued_ids(redis, class_id)):
            redis.srem(Queue.redis_queues_keys, _queue_key(class_id))


def forget(redis: Redis, class_id: str, names: Iterable[str]) -> None:
    """Remove RQ jobs of batches that have ended, or moved, from the queue of a class."""
    # No MULTI: before version 7, a full Redis refuses even what frees memory in one.
    with redis.pipeline(transaction=False) as pipe:
        for name in names:
            _take_out(pipe, class_id, name)
            pipe.unlink(_bytes(Job.key_for(name)))
        pipe.execute()


def set_aside(redis: Redis, class_id: str, name: str) -> None:
    """Take a message that is not ours out of the queue of a class, and list it as broken."""
    key, reason = _queue_key(class_id), "it is not a batchpool message"
    found = Broken(redis).note("member", key, _bytes(name), reason, is_moved=True)
    content = _bytes(Job.key_for(name))
    if redis.exists(content):
        redis.rename(content, found.aside)
    with redis.pipeline(transaction=False) as pipe:
        _take_out(pipe, class_id, name)
        pipe.execute()


def _queue_key(class_id: str) -> str:
    return Queue.redis_queue_namespace_prefix + queue_name(class_id)


def _take_out(pipe: Pipeline, class_id: str, name: str) -> None:
    pipe.lrem(_queue_key(class_id), 0, _bytes(name))
    pipe.lrem(_queue_key(class_id) + _POPPED, 0, _bytes(name))


def _bytes(name: str | bytes) -> Any:
    """An id of a message as it is in Redis, of whatever bytes."""
    return name if isinstance(name, bytes) else name.encode(errors="surrogateescape")


def _decoded(ids: Iterable[Any]) -> frozenset[str]:
    # Others may have put anything there: an id that is not ours matches nothing.
    return frozenset(name.decode(errors="surrogateescape") for name in ids)
