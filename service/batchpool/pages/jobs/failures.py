"""The failures of a job by what went wrong, each with tracebacks and a way to retry them; pure."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from batchpool.charts import numbers
from batchpool.schemas.record_responses import FailureGroup, Failures, FailureSample, FrameInfo

MOST_NAMED = 3
"""Items of a group that are named."""

MOST_TRACE = 20_000
"""Characters of a traceback; the record has all of it."""

_FOREIGN = re.compile(r'"[^"]*(?:/(?:site|dist)-packages/|/lib/python3[^/]*/)|"<')


@dataclass(frozen=True)
class TraceLine:
    """A line of a traceback: `own` for a frame of the task's code, `err` for the last, else ''."""

    kind: str
    text: str


@dataclass(frozen=True)
class Sample:
    """A failed item with its traceback."""

    index: int
    trace: tuple[TraceLine, ...]


@dataclass(frozen=True)
class FailureLine:
    """Failures of one type at one place.

    Args:
        cause: fields of a form, by which a retry finds the items.
        where: the frame and the first items, in words.
    """

    count: str
    error: str
    message: str
    where: str
    retry: str
    cause: tuple[tuple[str, str], ...]
    samples: tuple[Sample, ...]


@dataclass(frozen=True)
class FailuresView:
    """The card of failures.

    Args:
        note: how many of how many; `left_out` is empty if all are grouped and shown.
    """

    lines: tuple[FailureLine, ...]
    note: str
    left_out: str


def build_failures(found: Failures, done: int, most: int) -> FailuresView | None:
    """The card; None where nothing failed.

    Args:
        done: items of the job that have ended.
        most: groups that are shown.
    """
    if not found.total:
        return None
    lines = tuple(_line(group) for group in found.groups[:most])
    left_out = []
    if found.grouped < found.total:
        left_out.append(f"the first {numbers.count(found.grouped)} failures are grouped")
    if len(lines) < found.groups_total:
        total = numbers.plural(found.groups_total, "cause")
        left_out.append(f"{numbers.count(len(lines))} of {total} shown")
    note = f"{numbers.count(found.total)} of {numbers.plural(done, 'item')}"
    return FailuresView(lines, note, "; ".join(left_out))


def _cause(error_type: str, frame: FrameInfo | None) -> tuple[tuple[str, str], ...]:
    if frame is None:
        return (("type", error_type),)
    where = (("file", frame.file), ("line", str(frame.line)), ("function", frame.function))
    return (("type", error_type), *where)


def _line(group: FailureGroup) -> FailureLine:
    first = group.samples[0].error if group.samples else None
    one = group.count == 1
    return FailureLine(
        count=numbers.count(group.count),
        error=group.type.rpartition(".")[2] or group.type,
        message=_short(first.message if first else ""),
        where=_where(group),
        retry="Retry this one" if one else f"Retry these {numbers.count(group.count)}",
        cause=_cause(group.type, group.frame),
        samples=tuple(_samples(group.samples)),
    )


def _short(text: str) -> str:
    return text if len(text) <= 300 else f"{text[:299]}…"


def _where(group: FailureGroup) -> str:
    named = ", ".join(str(index) for index in group.indices[:MOST_NAMED])
    more = " …" if group.count > MOST_NAMED else ""
    items = f"{'item' if group.count == 1 else 'items'} {named}{more}"
    if group.frame is None:
        return items
    file = "/".join(group.frame.file.split("/")[-2:])
    return f"in {group.frame.function}, {file}:{group.frame.line} · {items}"


def _samples(found: Iterable[FailureSample]) -> Iterator[Sample]:
    """Those that have a traceback; a process that crashed left none."""
    for sample in found:
        if sample.error and sample.error.traceback:
            yield Sample(sample.index, trace_lines(sample.error.traceback[-MOST_TRACE:]))


def trace_lines(traceback: str) -> tuple[TraceLine, ...]:
    """The lines of a traceback, those of the task's own code marked, and the last one."""
    lines = traceback.rstrip("\n").split("\n")
    last = max((at for at, line in enumerate(lines) if line[:1].strip()), default=-1)
    return tuple(TraceLine(_kind(line, at == last), line) for at, line in enumerate(lines))


def _kind(line: str, is_last: bool) -> str:
    if is_last and not line.startswith("Traceback"):
        return "err"
    is_frame = line.lstrip(" |").startswith("File ")
    return "own" if is_frame and not _FOREIGN.search(line) else ""
