"""The exception that is raised here for an item that has no value."""

import builtins
from ast import literal_eval
from collections import Counter

from batchpool.client.errors import ItemsFailed, RemoteTraceback, TaskFailed
from batchpool.json_value import JsonObject

MOST_SAMPLES = 20
_SHOWN_TYPES = 5


def item_error(record: JsonObject, job_id: str) -> Exception:
    """Make the exception of a record that has no value; its cause has the traceback as text.

    What raised a builtin exception with a message is that exception again, so that `except
    ValueError` works; all else is `TaskFailed`.
    """
    error = record["error"] or {"type": record["state"], "message": "", "traceback": None}
    made = _builtin(error["type"], error["message"])
    found = made or TaskFailed(error["type"], error["message"])
    where = f"item {record['index']} of job {job_id}\n"
    found.__cause__ = RemoteTraceback((error["traceback"] or "") + where)
    return found


def _builtin(name: str, message: str) -> Exception | None:
    kind = getattr(builtins, name, None)
    if not (isinstance(kind, type) and issubclass(kind, Exception)):
        return None
    try:
        # The text of a KeyError is the repr of its key.
        given = () if not message else (literal_eval(message) if kind is KeyError else message,)
        found = kind(*given)
    except (TypeError, ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    return found if str(found) == message else None


class Failures:
    """The failures among the records of a job: how many of each type, and the first of each."""

    def __init__(self, job_id: str, total: int) -> None:
        self._job_id = job_id
        self._total = total
        self._counts = Counter[str]()
        self._first: dict[str, Exception] = {}

    def add(self, record: JsonObject) -> None:
        """Count a record that has no value."""
        kind = record["error"]["type"] if record["error"] else record["state"]
        self._counts[kind] += 1
        if kind not in self._first and len(self._first) < MOST_SAMPLES:
            self._first[kind] = item_error(record, self._job_id)

    def as_error(self) -> ItemsFailed:
        """Make the exception of all that were added, at least one."""
        counts = dict(self._counts.most_common())
        shown = [f"{count} × {kind}" for kind, count in counts.items()]
        by_type = ", ".join(shown[:_SHOWN_TYPES] + ["…"] * (len(shown) > _SHOWN_TYPES))
        text = f"{self._counts.total()} of {self._total} items of job {self._job_id} have no value"
        found = ItemsFailed(f"{text}: {by_type}", list(self._first.values()))
        found.counts, found.job_id = counts, self._job_id
        return found
