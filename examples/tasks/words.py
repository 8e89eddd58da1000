"""A task module of one's own: put it in a folder and name the folder in BATCHPOOL_TASKS_DIR."""

from dataclasses import dataclass
from typing import Annotated, Any

from annotated_types import Interval

from batchpool.tasks import task


@dataclass(frozen=True)
class LongWordsParams:
    """What counts as a long word."""

    at_least: Annotated[int, Interval(ge=1, le=1000)] = 7


@task("long-words", params=LongWordsParams, bound="cpu")
def long_words(item: Any, params: LongWordsParams) -> int:
    """Count the long words of a text."""
    return sum(len(word.strip(".,;:!?\"'()")) >= params.at_least for word in str(item).split())
