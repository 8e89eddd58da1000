"""A view of a job's timeline: what reaches into a window, as bars, or as bins where they are many.

All functions are pure; times become seconds since the job was submitted only in their answers.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress

from batchpool.jobs.timeline import drawing
from batchpool.jobs.timeline.job_spans import JobSpans
from batchpool.jobs.timeline.marks import Mark, marks_of
from batchpool.jobs.timeline.running import find_running
from batchpool.jobs.timeline.tracks import Lane, Place
from batchpool.jobs.timeline.waits import queue_waits, start_ups
from batchpool.json_value import JsonObject
from batchpool.ledger.values.job_entries import Epoch, JobEntry
from batchpool.model import TERMINAL_STATES
from batchpool.timestamps import rfc3339

MOST_LANES = 300
BARS_PER_PIXEL = 4
"""More bars than this per pixel of a lane are binned."""
MOST_BARS, FEW_BARS = 50_000, 2_000
"""More are binned however wide the view is; fewer never are."""
MOST_BINS = 100_000
"""Of all lanes together; where lanes are many, a bin is wider than a pixel."""
OVERVIEW_BINS = 200
NANO = 1e9


@dataclass(frozen=True)
class Window:
    """What is asked for; seconds since the job was submitted, None: its end, or now."""

    start_s: float = 0.0
    end_s: float | None = None
    width: int = 1200
    shared_sum: bool = False


@dataclass(frozen=True)
class _Cut:
    """What of a job is in the window: its lanes with the positions of their visible spans."""

    start_ns: int
    stop_ns: int
    end_ns: int
    lanes: Sequence[Lane]
    visible: Sequence[range]
    bins: int

    @classmethod
    def of(cls, spans: JobSpans, window: Window, end_ns: int) -> "_Cut":
        start_ns = round(window.start_s * NANO)
        stop_ns = end_ns if window.end_s is None else round(window.end_s * NANO)
        # A job that has just been submitted has lasted for no time at all.
        stop_ns = max(stop_ns, start_ns + 1000)
        lanes = spans.lanes[:MOST_LANES]
        visible = [lane.visible(start_ns, stop_ns) for lane in lanes]
        most = max(FEW_BARS, min(MOST_BARS, BARS_PER_PIXEL * window.width * len(lanes)))
        is_binned = sum(map(len, visible)) > most
        bins = min(window.width, MOST_BINS // len(lanes)) if is_binned else 0
        return cls(start_ns, stop_ns, end_ns, lanes, visible, bins)

    @property
    def pixel_ns(self) -> int:
        return (self.stop_ns - self.start_ns) // (self.bins or OVERVIEW_BINS)


def show_timeline(job: JobEntry, spans: JobSpans, window: Window, now_ms: int) -> JsonObject:
    """The timeline of a job as `GET /v1/jobs/{id}/timeline` shows it.

    Args:
        now_ms: Redis' clock, up to which a job that is not terminal lasts.
    """
    ended = job.state in TERMINAL_STATES
    # Blocks are read after the clock: what they say has happened.
    now_ns = max(((job.finished_ms or now_ms) - job.submitted_ms) * 1_000_000, spans.last_ns)
    cut = _Cut.of(spans, window, now_ns)
    with_sums = window.shared_sum and job.spec.shared_sum != "none"
    running = find_running(job, spans, cut.lanes)
    unknown = _show_unknown(job, running.elsewhere)
    sums = drawing.shared_sums(cut.lanes, cut.visible, window.width) if with_sums else None
    return {
        "job": job.id,
        "state": job.state,
        "submitted_at": rfc3339(job.submitted_ms),
        "from": cut.start_ns / NANO,
        "to": cut.stop_ns / NANO,
        "end": cut.end_ns / NANO,
        "now": None if ended else now_ns / NANO,
        "width": window.width,
        "binned": cut.bins > 0,
        "bin_s": (cut.stop_ns - cut.start_ns) / cut.bins / NANO if cut.bins else None,
        "total": spans.total,
        "shown": sum(map(len, cut.visible)),
        "overview": _overview(spans.lanes, cut.end_ns),
        "lanes": [*_show_lanes(job, spans, cut, running.since_ns), *unknown],
        "lanes_total": len(spans.lanes) + len(unknown),
        "lanes_shown": len(cut.lanes) + len(unknown),
        "marks": list(_show_marks(job, spans, cut.lanes)),
        "shared_sum": sums,
    }


def _show_lanes(
    job: JobEntry, spans: JobSpans, cut: _Cut, running: Mapping[int, int]
) -> list[JsonObject]:
    edges = drawing.edges(cut.start_ns, cut.stop_ns, cut.bins) if cut.bins else []
    shown = []
    for at, (lane, visible) in enumerate(zip(cut.lanes, cut.visible, strict=True)):
        if edges:
            items = {"bins": drawing.bins(lane, visible, edges)}
        else:
            items = {"bars": drawing.bars(spans.epochs, lane, visible)}
        waits = {
            "starts": start_ups(job, spans.epochs, lane, cut.pixel_ns),
            "queue": queue_waits(job, spans.epochs, lane),
            "running": running[at] / NANO if at in running else None,
        }
        shown.append(_show_place(lane) | items | waits)
    return shown


def _show_place(lane: Lane) -> JsonObject:
    place = lane.track.place
    return {
        "host": place.host,
        "worker": place.worker,
        "pid": place.pid,
        "ppid": place.ppid,
        "thread": place.thread,
        "items": lane.last - lane.first,
        "label": _label(place, lane.number, len(lane.track.ends_of_lanes)),
    }


def _label(place: Place, number: int, lanes: int) -> str:
    if place.shared_by or lanes > 1:
        kind = place.shared_by or "coroutine"
        return f"{kind} {number + 1} of {lanes}"
    if place.interpreter:
        return f"interpreter {place.interpreter}"
    if place.thread in (None, "MainThread"):
        return f"PID {place.pid}"
    # The pools name their threads thread-pool_0 and so on.
    name, _, last = str(place.thread).rpartition("_")
    return f"thread {last}" if name and last.isdecimal() else str(place.thread)


def _overview(lanes: Sequence[Lane], end_ns: int) -> list[int]:
    """The share of the lanes that is busy, in % per bin over the whole job."""
    bins = min(OVERVIEW_BINS, MOST_BINS // max(1, len(lanes)))
    if not lanes or bins == 0:
        return []
    edges = drawing.edges(0, max(end_ns, 1000), bins)
    sums = [0] * len(edges)
    for lane in lanes:
        sums = list(map(int.__add__, sums, lane.elapsed(edges)[0]))
    return drawing.shares(sums, edges, len(lanes))


def _show_unknown(job: JobEntry, elsewhere: Sequence[tuple[Epoch, int]]) -> list[JsonObject]:
    """Lanes for the first items of workers, which have no record yet."""
    shown: list[JsonObject] = []
    for owner, count in elsewhere:
        since_s = (owner["started_ms"] - job.submitted_ms) / 1000
        place = {"host": owner["host"], "worker": owner["worker"], "pid": None, "thread": None}
        lane = {"ppid": owner["pid"], "items": 0, "label": "running"}
        waits = {"starts": [], "queue": [], "running": since_s}
        shown += [place | lane | waits] * min(count, MOST_LANES - len(shown))
    return shown


def _show_marks(job: JobEntry, spans: JobSpans, lanes: Sequence[Lane]) -> Iterator[JsonObject]:
    for mark in marks_of(job, spans.items):
        number = spans.numbers.get(mark.of)
        on = [at for at, lane in enumerate(lanes) if number in lane.track.claims]
        if mark.kind == "run_again":
            yield from _show_reruns(mark, lanes, on)
        else:
            yield mark.to_json() | {"lane": next(iter(on), None)}


def _show_reruns(mark: Mark, lanes: Sequence[Lane], on: Iterable[int]) -> Iterator[JsonObject]:
    """A mark for each item of the mark that has run again by now."""
    for at in on:
        spans, positions = lanes[at].track.spans, range(lanes[at].first, lanes[at].last)
        indices = spans.index[positions.start : positions.stop]
        for position in compress(positions, map(mark.indices.__contains__, indices)):
            item, start_s = spans.index[position], spans.start[position] / NANO
            text = f"runs item {item:,} again, which was in flight"
            yield mark.to_json() | {"lane": at, "at": start_s, "items": 1, "text": text}
