"""Text of users as text: characters that a browser would obey instead of showing are named."""

import re
from typing import Final

from batchpool.charts import numbers

_OBEYED: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)
"""Control characters but tab and newline, marks of direction, and what has no width."""


def visible(text: str) -> str:
    r"""The text with each character that would be obeyed, or be invisible, as its escape.

    >>> visible("a\u202eb")
    'a\\u202eb'
    """
    return _OBEYED.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


_WORDS: Final = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def in_words(count: int) -> str:
    """A count for running text: a word up to nine."""
    return _WORDS[count] if 0 <= count < len(_WORDS) else numbers.count(count)
