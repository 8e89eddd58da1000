"""The frame of each page: where it stands, what it follows, and what the footer says; pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from batchpool.charts import numbers
from batchpool.ledger.values.announcements import LiveWorker

SECTIONS: Final = (
    ("Overview", "/"),
    ("Jobs", "/jobs"),
    ("Comparisons", "/comparisons"),
    ("Lessons", "/lessons"),
    ("API", "/docs"),
)


@dataclass(frozen=True)
class Live:
    """How a page follows what it shows.

    Args:
        events: address of the event stream; None if the page asks every `every_s` seconds.
        every_s: seconds between two questions where there is no stream.
    """

    events: str | None = None
    every_s: float = 2.0


@dataclass(frozen=True)
class Frame:
    """What base.html needs beside the page's own view.

    Args:
        current: the section of the navigation that the page is in.
        facts: what the footer says.
        live: None for a page that does not change.
    """

    current: str
    facts: tuple[str, ...] = ()
    live: Live | None = None


def footer_facts(version: str, workers: Sequence[LiveWorker], durability: str) -> tuple[str, ...]:
    """Version, workers and what Redis promises, each as a phrase."""
    return (f"batchpool {version}", workers_phrase(workers), f"Redis: {durability}")


def workers_phrase(workers: Sequence[LiveWorker]) -> str:
    """How many workers there are, and of what kind: `2 workers, Python 3.11 with the GIL`."""
    if not workers:
        return "no worker"
    kinds = {(worker.python, worker.gil) for worker in workers}
    count = numbers.plural(len(workers), "worker")
    if len(kinds) > 1:
        return f"{count}, {len(kinds)} kinds of Python"
    python, gil = kinds.pop()
    return f"{count}, Python {python} {'with' if gil else 'without'} the GIL"
