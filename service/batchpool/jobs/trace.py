"""Records as Chrome Trace Events: a group per process, a lane per thread."""

from collections.abc import Iterable, Iterator
from typing import Any

from batchpool.json_value import JsonObject
from batchpool.ledger.blocks.record_fields import RecordDocument
from batchpool.ledger.values.job_entries import JobEntry

LANES_FROM = 1


class _IdTable:
    """Small unique numbers for processes and threads: PIDs repeat from host to host."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[Any, ...], int] = {}

    def number(self, *identity: Any) -> tuple[int, bool]:
        """The number of the thing with this identity, and whether it is new."""
        known = len(self._numbers)
        number = self._numbers.setdefault(identity, known + LANES_FROM)
        return number, len(self._numbers) > known


def trace_events(job: JobEntry, records: Iterable[RecordDocument]) -> Iterator[JsonObject]:
    """The events of a trace, in the order of the items; times count from the job's first claim.

    Tasks of `asyncio` overlap within one thread, which a lane of slices cannot show: they are
    asynchronous events with the item's index as their id.
    """
    processes, lanes = _IdTable(), _IdTable()
    overlapping = job.spec.backend == "asyncio"
    for record in records:
        if record["started_at"] is None:
            continue
        process, is_new = processes.number(record["host"], record["pid"])
        if is_new:
            yield from _process_names(record, process)
        lane, is_new = lanes.number(process, record["interpreter"], record["thread_id"])
        if is_new:
            yield _meta("thread_name", process, lane, name=_lane_name(record))
        yield from _task_events(job, record, (process, lane), overlapping)


def _meta(kind: str, process: int, lane: int, **args: Any) -> JsonObject:
    return {"ph": "M", "name": kind, "pid": process, "tid": lane, "args": args}


def _process_names(record: RecordDocument, process: int) -> Iterator[JsonObject]:
    name = f"{record['worker']} on {record['host']}: PID {record['pid']} (PPID {record['ppid']})"
    yield _meta("process_name", process, 0, name=name)
    yield _meta("process_sort_index", process, 0, sort_index=record["batch"])


def _lane_name(record: RecordDocument) -> str:
    name = str(record["thread_name"])
    return f"{name} in interpreter {record['interpreter']}" if record["interpreter"] else name


def _task_events(
    job: JobEntry, record: RecordDocument, place: tuple[int, int], overlapping: bool
) -> Iterator[JsonObject]:
    epoch = job.batches[record["batch"]].epochs[(record["epoch"] or 1) - 1]
    origin_ms = job.started_ms or epoch["started_ms"]
    start_us = (epoch["started_ms"] - origin_ms) * 1000 + (record["offset_s"] or 0.0) * 1e6
    common = {
        "name": job.spec.task,
        "cat": record["state"],
        "pid": place[0],
        "tid": place[1],
        "ts": round(start_us, 3),
    }
    args: JsonObject = {
        "index": record["index"],
        "state": record["state"],
        "batch": record["batch"],
        "epoch": record["epoch"],
        "attempt": record["attempt"],
        "pid": record["pid"],
        "thread_id": record["thread_id"],
        "cpu_s": record["cpu_s"],
    }
    length_us = round((record["wall_s"] or 0.0) * 1e6, 3)
    if not overlapping:
        yield {**common, "ph": "X", "dur": length_us, "args": args}
        return
    identity = str(record["index"])
    yield {**common, "ph": "b", "id": identity, "args": args}
    yield {**common, "ph": "e", "id": identity, "ts": round(start_us + length_us, 3)}
