"""Words for running text."""

from typing import Final

from batchpool.charts import numbers

_WORDS: Final = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def in_words(count: int) -> str:
    """A count for running text: a word up to nine."""
    return _WORDS[count] if 0 <= count < len(_WORDS) else numbers.count(count)
