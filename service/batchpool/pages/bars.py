"""Bars of progress and of use: shares of 100 as rectangles; pure."""

from dataclasses import dataclass
from typing import Final, NamedTuple

from batchpool.charts import numbers
from batchpool.model import RECORD_STATES
from batchpool.schemas.job_responses import Progress

LEAST: Final = 0.6
"""What exists is never thinner than this share of 100."""


class Part(NamedTuple):
    """One part of a bar: its class, and where it lies in 0 … 100."""

    kind: str
    x: float
    width: float


@dataclass(frozen=True)
class Bar:
    """A bar, and what it says in words."""

    parts: tuple[Part, ...]
    label: str


def progress_bar(progress: Progress) -> Bar:
    """The items of a job or batch by state."""
    amounts = [(state, getattr(progress, state)) for state in (*RECORD_STATES, "running")]
    label = f"{numbers.count(done(progress))} of {numbers.count(progress.total)} items done"
    if failed := unsuccessful(progress):
        label += f", {numbers.count(failed)} failed"
    return Bar(_parts(amounts, progress.total), label)


def use_bar(part: float, whole: float, label: str) -> Bar:
    """How much of something is used."""
    return Bar(_parts([("use", min(part, whole))], whole), label)


def done(progress: Progress) -> int:
    """Items that have a record, or never will have one."""
    return progress.total - progress.pending - progress.running


def unsuccessful(progress: Progress) -> int:
    """Items that ended without a value; those that were cancelled aside."""
    return progress.failed + progress.timeout + progress.crashed


def _parts(amounts: list[tuple[str, float]], total: float) -> tuple[Part, ...]:
    there = [(kind, 100 * amount / total) for kind, amount in amounts if amount and total]
    widths = [max(LEAST, share) for _, share in there]
    if sum(widths) > 100:
        # What is widened is taken from the widest, so that nothing lies outside.
        widths[widths.index(max(widths))] -= sum(widths) - 100
    parts, x = [], 0.0
    for (kind, _), width in zip(there, widths, strict=True):
        parts.append(Part(kind, round(x, 2), round(max(0.2, width - 0.15), 2)))
        x += width
    return tuple(parts)
