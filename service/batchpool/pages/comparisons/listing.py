"""The list of comparisons: a line each, with its conclusion; pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple
from urllib.parse import urlencode

from batchpool.charts import numbers
from batchpool.comparisons.aggregation import show_comparison
from batchpool.ledger.values.comparison_entries import ComparisonEntry
from batchpool.pages.comparisons.headline import headline
from batchpool.pages.comparisons.progress import seconds_left

STATES: Final = ("queued", "running", "succeeded", "failed", "cancelled")


@dataclass(frozen=True)
class ComparisonLine:
    """One comparison of a list."""

    id: str
    task: str
    arms: int
    state: str
    sentence: str
    submitted_at: str
    took: str


class Choice(NamedTuple):
    """A filter: its words, how many it leaves (not known here), its address."""

    words: str
    left: int | None
    address: str
    is_chosen: bool


@dataclass(frozen=True)
class ComparisonList:
    """A page of the list.

    Args:
        older: address of the next page; None at the end.
        is_filtered: whether others may exist.
    """

    title: str
    lines: tuple[ComparisonLine, ...]
    states: tuple[Choice, ...]
    task: str
    older: str | None
    is_filtered: bool


def comparison_line(entry: ComparisonEntry, now_ms: int) -> ComparisonLine:
    """A comparison in a list."""
    shown = show_comparison(entry, entry.finished_ms or now_ms)
    return ComparisonLine(
        id=entry.id,
        task=entry.spec.task,
        arms=len(entry.spec.arms),
        state=entry.state,
        sentence=headline(shown, seconds_left(entry)).title,
        submitted_at=shown.timing.submitted_at or "",
        took=numbers.duration(shown.timing.wall_s),
    )


def build_list(
    lines: Sequence[ComparisonLine], state: str | None, task: str | None, older: str | None
) -> ComparisonList:
    """A page of comparisons.

    Args:
        state, task: the filters that were asked for.
        older: the cursor of the next page.
    """
    kept = {"task": task} if task else {}
    choices = [Choice("All", None, _address(kept), state is None)]
    choices += [
        Choice(each.capitalize(), None, _address(kept | {"state": each}), state == each)
        for each in STATES
    ]
    chosen = kept | ({"state": state} if state else {})
    return ComparisonList(
        title="Comparisons",
        lines=tuple(lines),
        states=tuple(choices),
        task=task or "",
        older=_address(chosen | {"cursor": older}) if older else None,
        is_filtered=bool(chosen),
    )


def _address(query: dict[str, str]) -> str:
    return f"/comparisons?{urlencode(query)}" if query else "/comparisons"
