"""Words for running text."""

from math import ceil
from typing import Final

from batchpool.charts import numbers

_WORDS: Final = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def in_words(count: int) -> str:
    """A count for running text: a word up to nine."""
    return _WORDS[count] if 0 <= count < len(_WORDS) else numbers.count(count)


def sentence(text: str) -> str:
    """A phrase as a sentence of its own: a capital first, a full stop at the end."""
    text = text.strip()
    if not text:
        return ""
    return text[:1].upper() + text[1:] + ("" if text[-1] in ".!?" else ".")


def whole_seconds(seconds: float | None) -> str:
    """A time that goes on, without decimals that nobody can follow: `9 s`, `2 min 10 s`."""
    full = int(seconds or 0)
    return numbers.with_unit(str(full), "s") if full < 60 else numbers.duration(full)


def about(seconds: float) -> str:
    """A time that is a guess, rounded up to what can be trusted: `9 s`, `4 min`."""
    if seconds < 60:
        return numbers.with_unit(str(max(1, ceil(seconds))), "s")
    return numbers.duration(60.0 * ceil(seconds / 60))
