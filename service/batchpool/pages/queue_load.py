"""The queue of each class of workers: how much waits now, and in the last minutes; pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from batchpool.charts import numbers
from batchpool.charts.queue_curve import draw_sparkline
from batchpool.ledger.values.announcements import LiveWorker, WorkerCapabilities
from batchpool.ledger.values.load_samples import ClassLoad, LoadSample
from batchpool.pages.text import whole_seconds

SPAN_S = 900
STEP_S = 5
"""The last quarter of an hour, in the steps in which samples are taken."""


@dataclass(frozen=True)
class QueueLine:
    """The queue of one class.

    Args:
        waits: what waits now, in bold, and the words after it.
        curve: SVG of the batches that waited.
        most: the most at once, in words.
        helps: what to do, where nobody works on it; empty otherwise.
    """

    name: str
    waits: tuple[str, str]
    curve: str
    most: str
    helps: str


def build_queues(
    classes: Sequence[WorkerCapabilities],
    workers: Sequence[LiveWorker],
    samples: Sequence[LoadSample],
    now_ms: int,
) -> tuple[QueueLine, ...]:
    """A queue for each class that has a live worker, or had something to do lately."""
    live = {worker.class_id.partition("~")[0] for worker in workers}
    recent = [sample for sample in samples if now_ms - sample.at_ms < 1000 * SPAN_S]
    loaded = {class_id for sample in recent for class_id in sample.classes}
    return tuple(
        _line(known, [_at(sample, known.id, now_ms) for sample in recent], known.id in live)
        for known in classes
        if known.id in live or known.id in loaded
    )


def _at(sample: LoadSample, class_id: str, now_ms: int) -> tuple[int, ClassLoad]:
    """How many steps ago it was, and the load then."""
    ago = max(0, round((now_ms - sample.at_ms) / 1000 / STEP_S))
    return ago, sample.classes.get(class_id, ClassLoad())


def _line(
    known: WorkerCapabilities, loads: Sequence[tuple[int, ClassLoad]], is_live: bool
) -> QueueLine:
    by_step = dict(loads)
    # A sample may come a little late; where two are missing, nothing waited or ran.
    filled = {
        step: by_step.get(step) or by_step.get(step + 1) or ClassLoad()
        for step in range(SPAN_S // STEP_S, -1, -1)
    }
    now = filled[0]
    points = [(-float(step * STEP_S), load.queued) for step, load in filled.items()]
    most = max(queued for _, queued in points)
    helps = "No worker of this kind is here." if now.queued and not is_live else ""
    return QueueLine(
        name=f"Python {known.python}, {'GIL' if known.gil else 'no GIL'}",
        waits=_waits(now),
        curve=draw_sparkline(points, "queued batches", (294, 44)) if most else "",
        most=f"most: {numbers.count(most)}",
        helps=helps,
    )


def _waits(now: ClassLoad) -> tuple[str, str]:
    runs = f"{numbers.plural(now.running, 'batch runs', 'batches run')}." if now.running else ""
    if not now.queued:
        return "Nothing waits.", runs
    verb, noun = ("waits", "batch") if now.queued == 1 else ("wait", "batches")
    waits = numbers.with_unit(numbers.count(now.queued), noun)
    if now.oldest_s is None:
        return waits, f"{verb}. {runs}".strip()
    return waits, f"{verb}, the oldest for {whole_seconds(now.oldest_s)}. {runs}".strip()
