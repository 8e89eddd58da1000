"""Names of the ledger's keys, built from generated ids and never from input.

bp:job:<id>             hash: state, spec, limits, counters of its batches
bp:job:<id>:items       hash: block of items -> compressed JSON list (none for `count` jobs)
bp:upload:<id>          hash with a time to live: the same of items whose job is still to come
bp:job:<id>:events      stream: what changed
bp:job:<id>:end         stream: one entry, once the job has ended
bp:job:<id>:<n>         hash: one batch: state, owner, tally, epochs, report
bp:job:<id>:<n>:bits    bitmap of recorded items
bp:job:<id>:<n>:heads   list: a small JSON header per block: epoch, indices, states, times
bp:job:<id>:<n>:blocks  list: the blocks themselves, compressed columns
bp:job:<id>:<n>:reduced hash: name of a reducer -> its state, of what is recorded
bp:jobs                 zset: job key by time of submission
bp:finished             zset: job or comparison key by the time at which its keys expire
bp:deadlines            zset: job key by its next limit
bp:leases bp:waiting bp:parked   zset: '<job key>|<n>' by end of lease, or since when
bp:worker:<name>        string with a time to live: one live worker
bp:workers              set: the names of workers that were there lately
bp:probe                string of a millisecond: written to see whether writes are accepted
bp:classes              hash: class id -> what workers of that class can run
bp:once:<digest>        string: an Idempotency-Key that was used
bp:cmp:<id>             hash: a comparison: state, spec, where it is; its workers need of it only
                        that `state` is running
bp:cmp:<id>:items       hash: its items, as a job's
bp:cmp:<id>:samples     list: one JSON document per run that has ended
bp:cmp:<id>:slots       hash: slot -> its holder as JSON, and want:<slot> -> the nonce of the worker
                        that is wanted for it
bp:cmp:<id>:analysis    string: its result, once it has ended
bp:cmp:<id>:events      stream: what changed
bp:cmp:<id>:end         stream: one entry, once the comparison has ended
bp:cmp:leader           hash with a time to live: the token of the process that drives comparisons
bp:comparisons          zset: comparison key by time of submission
bp:comparing            zset: the same of those that have not ended
bp:reserved             hash: host -> claims on it since it was reserved; there only while a
                        comparison runs
bp:counts               hash of counts over all jobs. At present: queued_items (in batches without
                        an owner), open_items and reducer_bytes (in batches not ended, the latter
                        kept free for states of reducers), queued, running (jobs). So far:
                        succeeded, failed, cancelled (jobs), refused_writes, lost_workers
bp:clock                hash: by how much the deadlines have followed steps of Redis' clock
bp:bulk                 set: <action>|<job id>: what was asked for of many jobs at once
bp:samples              list with a time to live: the load of each class of workers, every 5 s
                        while a batch waits or runs, the newest first
bp:rate:<task>:<us>      string: when the last leased token of a rate ends, in microseconds
bp:broken               hash: id -> what cannot be read, as JSON
bp:broken:new           list: the same of what has not been moved yet
bp:broken:key:<id>...   the keys that were moved away, under their ids in bp:broken
"""

import re

PREFIX = "bp:job:"
JOBS = "bp:jobs"
FINISHED = "bp:finished"
DEADLINES = "bp:deadlines"
LEASES = "bp:leases"
WAITING = "bp:waiting"
PARKED = "bp:parked"
WORKER = "bp:worker:"
WORKERS = "bp:workers"
PROBE = "bp:probe"
CLASSES = "bp:classes"
ONCE = "bp:once:"
UPLOAD = "bp:upload:"
COMPARISON = "bp:cmp:"
RESERVED = "bp:reserved"
COUNTS = "bp:counts"
COMPARISONS = "bp:comparisons"
COMPARING = "bp:comparing"
LEADER = "bp:cmp:leader"
CLOCK = "bp:clock"
SAMPLES = "bp:samples"
BULK = "bp:bulk"
RATE = "bp:rate:"
BROKEN = "bp:broken"
BROKEN_NEW = "bp:broken:new"
BROKEN_KEY = "bp:broken:key:"
QUEUE = "batchpool:"
"""Prefix of the RQ queue of a class of workers."""

_ID = rb"[0-9A-Za-z-]{1,64}"
_JOB = re.compile(PREFIX.encode() + b"(" + _ID + b")")
_COMPARISON = re.compile(COMPARISON.encode() + b"(" + _ID + b")")
_PART_TYPES = {
    "": "hash",
    "items": "hash",
    "events": "stream",
    "end": "stream",
    "bits": "string",
    "heads": "list",
    "blocks": "list",
    "reduced": "hash",
    "samples": "list",
    "slots": "hash",
    "analysis": "string",
}
_OF_A_JOB = ("", "items", "events", "end")
_OF_A_BATCH = ("", "bits", "heads", "blocks", "reduced")
_BATCH = re.compile(r"([0-9]+)(:|$)")
_MEMBER = re.compile(PREFIX.encode() + b"(" + _ID + rb")\|([0-9]{1,9})")


def job_key(job_id: str) -> str:
    return PREFIX + job_id


def rate_key(task: str, interval_us: int) -> str:
    return f"{RATE}{task}:{interval_us}"


def job_id_of(key: bytes) -> str:
    """The id of a member of an index of jobs.

    Raises:
        ValueError: it is none.
    """
    return _matched(_JOB, key)[1].decode()


def batch_key(job_id: str, batch: int) -> str:
    return f"{PREFIX}{job_id}:{batch}"


def keys_of_batch(job_id: str, batch: int) -> list[str]:
    """All keys of a batch, and those of its job that are of all batches."""
    of_job, of_batch = job_key(job_id), batch_key(job_id, batch)
    return [
        *(f"{of_job}:{part}".removesuffix(":") for part in _OF_A_JOB),
        *(f"{of_batch}:{part}".removesuffix(":") for part in _OF_A_BATCH),
    ]


def part_of(key: str, prefix: str) -> str:
    """The part that a key is of the job or comparison with the key `prefix`; '' for a hash."""
    return _BATCH.sub("", _rest(key, prefix), count=1)


def batch_of(key: str, prefix: str) -> int | None:
    """The number of the batch that a key of a job belongs to."""
    found = _BATCH.match(_rest(key, prefix))
    return int(found[1]) if found else None


def type_of(key: str, prefix: str) -> str | None:
    """The type that a key of a job or comparison must have; None if it is none of ours."""
    return _PART_TYPES.get(part_of(key, prefix))


def comparison_key(comparison_id: str) -> str:
    return COMPARISON + comparison_id


def slots_key(comparison_id: str) -> str:
    return f"{COMPARISON}{comparison_id}:slots"


def private_class(class_id: str, comparison_id: str, slot: int) -> str:
    """The class of the one worker that has a slot: no other reads its queue."""
    return f"{class_id}~{comparison_id}~{slot}"


def base_class(class_id: str) -> str:
    """The class of a worker while it is not reserved."""
    return class_id.partition("~")[0]


def comparison_id_of(key: bytes) -> str:
    """The id of a member of an index of comparisons.

    Raises:
        ValueError: it is none.
    """
    return _matched(_COMPARISON, key)[1].decode()


def split_member(member: bytes) -> tuple[str, int]:
    """The job id and batch number of a member of an index of batches.

    Raises:
        ValueError: it is none.
    """
    found = _matched(_MEMBER, member)
    return found[1].decode(), int(found[2])


def _rest(key: str, prefix: str) -> str:
    return key.removeprefix(prefix).removeprefix(":")


def _matched(pattern: re.Pattern[bytes], member: bytes) -> re.Match[bytes]:
    if found := pattern.fullmatch(member):
        return found
    raise ValueError("it is no key of ours")
