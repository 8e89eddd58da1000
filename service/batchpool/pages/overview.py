"""The overview: how things are, and what to do next; pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from batchpool.ledger.values.announcements import LiveWorker
from batchpool.pages.text import in_words


@dataclass(frozen=True)
class Overview:
    """What the overview shows.

    Args:
        sentence: how things are.
    """

    sentence: str


def build_overview(workers: Sequence[LiveWorker]) -> Overview:
    """The overview of these workers."""
    if not workers:
        return Overview("No worker is here.")
    if len(workers) == 1:
        return Overview("One worker is here.")
    return Overview(f"{in_words(len(workers)).capitalize()} workers are here.")
