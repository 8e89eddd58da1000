"""Read fields of the ledger's hashes; each function raises ValueError or TypeError for junk."""

from collections.abc import Mapping
from json import loads
from types import UnionType
from typing import cast, get_args

from batchpool.json_value import JsonObject
from batchpool.model import BatchState, JobState, TaskError

LAST_MS = 253_402_300_799_999
"""The end of the year 9999: no later time can be shown."""

_JOB_STATES, _BATCH_STATES = get_args(JobState), get_args(BatchState)
_Types = Mapping[str, type | UnionType]
_OWNER: _Types = {
    **dict.fromkeys(("worker", "host", "python"), str),
    **dict.fromkeys(("pid", "ppid"), int),
    "gil": bool,
}
_ERROR: _Types = {"type": str, "message": str, "traceback": str | None}


def job_state(raw: bytes) -> JobState:
    """The state of a job or comparison."""
    return cast(JobState, _one_of(_JOB_STATES, raw))


def batch_state(raw: bytes) -> BatchState:
    return cast(BatchState, _one_of(_BATCH_STATES, raw))


def time_ms(raw: bytes) -> int:
    """A time of Redis' clock."""
    found = int(raw)
    if not 0 <= found <= LAST_MS:
        raise ValueError(f"{raw[:40]!r} is no time")
    return found


def maybe_time_ms(raw: bytes | None) -> int | None:
    return None if raw is None else time_ms(raw)


def json_object(raw: bytes) -> JsonObject:
    found = loads(raw)
    if not isinstance(found, dict):
        raise TypeError(f"{raw[:40]!r} is no object")
    return found


def owner(raw: bytes) -> JsonObject:
    """Who claimed a batch."""
    return _object(raw, _OWNER)


def maybe_error(raw: bytes | None) -> TaskError | None:
    if not raw or raw == b"null":
        return None
    found = _object(raw, _ERROR)
    if len(found) > len(_ERROR):
        raise ValueError(f"an error has the unknown fields {sorted(found.keys() - _ERROR.keys())}")
    return cast(TaskError, found)


def _one_of(allowed: tuple[str, ...], raw: bytes) -> str:
    text = raw.decode()
    if text not in allowed:
        raise ValueError(f"its state is {text[:40]!r}")
    return text


def _object(raw: bytes, types: _Types) -> JsonObject:
    found = json_object(raw)
    for name, kind in types.items():
        if not isinstance(found.get(name), kind):
            raise TypeError(f"its {name} is not of its type: {raw[:200]!r}")
    return found
