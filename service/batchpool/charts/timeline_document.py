"""The timeline of a job as data: what `GET /v1/jobs/{id}/timeline` answers and charts draw.

All times are seconds since the job was submitted; arrays are columns, one value per bar or bin.
"""

from typing import Literal, NotRequired, TypedDict

MarkKind = Literal["worker_lost", "takeover", "run_again", "refused_write"]


class Bars(TypedDict):
    """The items that a lane ran, one bar each.

    `state` has a letter per bar: s succeeded, f failed, c cancelled, t timeout, x crashed, and
    r for an item that runs now.
    """

    index: list[int]
    start: list[float]
    wall: list[float]
    cpu: list[float]
    state: str
    attempt: list[int]
    epoch: list[int]
    batch: list[int]


class Bins(TypedDict):
    """A lane in percent per bin: a task in flight, and computing.

    `failed` has `[bin, first index, count]` for each bin with an item that did not succeed.
    """

    busy: list[int]
    cpu: list[int]
    failed: list[list[int]]


class Lane(TypedDict):
    """One row: a thread, a process, or several processes that ran one after the other.

    `pid` is None where each item had a process of its own. `starts` has `[start, end]` of the
    start-up of its process, `queue` of waits in the queue; `running` when the item that runs now
    may have begun.
    """

    host: str
    worker: str
    pid: int | None
    ppid: int
    thread: str | None
    items: int
    label: str
    bars: NotRequired[Bars | None]
    bins: NotRequired[Bins | None]
    starts: list[list[float]]
    queue: list[list[float]]
    running: NotRequired[float | None]


class SharedSum(TypedDict):
    """Per lane, by its number as text, the steps of the sum: `[time, value]`."""

    lane: dict[str, list[list[float]]]


# `from` is a keyword of Python, so that these two cannot be written as classes.
Mark = TypedDict(
    "Mark",
    {
        "at": float,
        "kind": MarkKind,
        "worker": str,
        "lane": int | None,
        "batch": int,
        "epoch": int,
        "from": float | None,
        "kept": int | None,
        "items": int | None,
        "text": str,
    },
)

Timeline = TypedDict(
    "Timeline",
    {
        "job": str,
        "state": str,
        "submitted_at": str,
        "from": float,
        "to": float,
        "end": float,
        "now": float | None,
        "width": int,
        "binned": bool,
        "bin_s": float | None,
        "total": int,
        "shown": int,
        "overview": list[int],
        "lanes": list[Lane],
        "lanes_total": int,
        "lanes_shown": int,
        "marks": list[Mark],
        "shared_sum": SharedSum | None,
    },
)
