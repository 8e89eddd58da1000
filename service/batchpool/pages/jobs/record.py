"""One record in full: when and where its item ran, what came of it, and its attempts; pure."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from batchpool.charts import numbers
from batchpool.jobs.timeline.drawing import LETTERS
from batchpool.json_value import JsonObject
from batchpool.ledger.blocks.record_fields import RecordDocument
from batchpool.ledger.values.job_entries import JobEntry
from batchpool.model import RECORD_STATES, TERMINAL_STATES
from batchpool.pages.jobs.failures import MOST_TRACE, TraceLine, trace_lines

MOST_TEXT = 20_000
"""Characters of an input or value in full."""

SHORT_TEXT = 60
"""An input or value of so many characters stands among the other fields."""


@dataclass(frozen=True)
class RecordView:
    """One record in full.

    Args:
        share: CPU time by wall time, None where nothing was measured; `computing` says it in words.
        pairs: its fields as names and words.
        texts: its input and value, where they are long.
        attempts: what came before and what came last, where it ran more than once.
        can_retry: whether the job can run this item again now; `retry_note` if only later.
        place: where the timeline has it.
    """

    job_id: str
    index: int
    state: str
    share: float | None
    computing: str
    pairs: tuple[tuple[str, str], ...]
    texts: tuple[tuple[str, str], ...]
    error: str
    message: str
    trace: tuple[TraceLine, ...]
    log: str
    attempts: tuple[str, ...]
    can_retry: bool
    retry_note: str
    place: JsonObject


def build_record(record: RecordDocument, job: JobEntry) -> RecordView:
    """A record of the job in full."""
    error = record["error"]
    start_s = _start_s(record, job)
    texts = [("Input", _json(record["item"]))]
    if record["state"] == "succeeded":
        texts.append(("Value", _value(record["value"])))
    short = [text for text in texts if len(text[1]) <= SHORT_TEXT]
    is_open, is_done = job.state not in TERMINAL_STATES, record["state"] == "succeeded"
    return RecordView(
        job_id=job.id,
        index=record["index"],
        state=record["state"],
        share=_share(record),
        computing=_computing(record),
        pairs=tuple(pair for pair in [*_where(record, start_s), *short] if pair[1]),
        texts=tuple(text for text in texts if text not in short),
        error=error["type"] if error else "",
        message=error["message"] if error else "",
        trace=trace_lines(error["traceback"][-MOST_TRACE:]) if error and error["traceback"] else (),
        log=record["log"] or "",
        attempts=tuple(_attempts(record, job)),
        can_retry=not is_open and not is_done,
        retry_note="You can retry it when the job has ended." if is_open and not is_done else "",
        place=_place(record, start_s),
    )


def _start_s(record: RecordDocument, job: JobEntry) -> float | None:
    """When it began, since the job was submitted, as the timeline has it."""
    if record["offset_s"] is None or record["epoch"] is None:
        return None
    epoch = job.batches[record["batch"]].epochs[record["epoch"] - 1]
    return (epoch["started_ms"] - job.submitted_ms) / 1000 + record["offset_s"]


def _where(record: RecordDocument, start_s: float | None) -> Iterator[tuple[str, str]]:
    thread, seen, epoch = record["thread_name"], record["sum_seen"], record["epoch"]
    yield "Started", "never" if start_s is None else f"{start_s:.3f}{numbers.NO_BREAK}s"
    yield "Worker", record["worker"] or "none"
    yield "Host", record["host"] or ""
    yield "Process", f"PID {record['pid']}, child of {record['ppid']}" if record["pid"] else ""
    yield "Thread", thread or ""
    yield "Interpreter", str(record["interpreter"] or "")
    yield "Batch", f"{record['batch']}, epoch {epoch}" if epoch else str(record["batch"])
    yield "Attempt", str(record["attempt"] or "")
    yield "Sum it saw", "" if seen is None else numbers.exact(str(seen))


def _share(record: RecordDocument) -> float | None:
    if record["cpu_s"] is None or not record["wall_s"]:
        return None
    return min(1.0, record["cpu_s"] / record["wall_s"])


def _computing(record: RecordDocument) -> str:
    share = _share(record)
    if share is None:
        return "It was not measured." if record["attempt"] else "It never ran."
    cpu, wall = numbers.duration(record["cpu_s"]), numbers.duration(record["wall_s"])
    rest = "" if share > 0.995 else "; the rest it waited or was held up"
    return f"computing {cpu} of {wall} ({numbers.percent(share)}){rest}"


def _attempts(record: RecordDocument, job: JobEntry) -> Iterator[str]:
    """Each run of the item by its outcome; nothing if there was one only."""
    epochs = job.batches[record["batch"]].epochs[: (record["epoch"] or 1) - 1]
    before = [
        f"Epoch {number}: in flight on {epoch['worker']} when that was lost"
        for number, epoch in enumerate(epochs, 1)
        if "lost" in epoch and record["index"] in epoch["lost"]["in_flight"]
    ]
    for number, tried in enumerate(record["tries"], 1):
        error, wall = tried["error"], numbers.duration(tried["wall_s"])
        before.append(f"Attempt {number}: {error['type']} after {wall}: {error['message']}")
    if before:
        yield from before
        epoch = f"Epoch {record['epoch']}, attempt" if len(epochs) else "Attempt"
        yield f"{epoch} {record['attempt']}: {record['state']}"


def _place(record: RecordDocument, start_s: float | None) -> JsonObject:
    return {
        "index": record["index"],
        "state": LETTERS[RECORD_STATES.index(record["state"])],
        "start": start_s,
        "wall": record["wall_s"] or 0,
        "cpu": record["cpu_s"] or 0,
        "worker": record["worker"],
        "pid": record["pid"],
        "thread": record["thread_name"],
    }


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)[:MOST_TEXT]


def _value(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return numbers.exact(str(value))
    return _json(value)
