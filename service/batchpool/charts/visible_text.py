"""Text of users as text: characters that a reader's program would obey are named."""

import re
from html import escape
from typing import Final

_OBEYED: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufffe\uffff\ud800-\udfff]"
)
"""Control characters but tab and newline, marks of direction, what has no width or no meaning."""


def visible(text: str) -> str:
    r"""The text with each character that would be obeyed, or be invisible, as its escape.

    >>> visible("a\u202eb")
    'a\\u202eb'
    """
    return _OBEYED.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def escaped(text: str) -> str:
    """`text` as content or attribute value of XML and HTML."""
    return escape(visible(text))


def shortened(text: str, most_px: float, char_px: float = 6.4) -> str:
    """`text` with an ellipsis at its end where it would be wider than `most_px`.

    Args:
        char_px: width of an average character; 6.4 suits 12 px of a sans-serif type.
    """
    most = max(2, int(most_px / char_px))
    return text if len(text) <= most else f"{text[: most - 1]}…"


def wrapped(text: str, most_px: float, char_px: float = 5.8) -> list[str]:
    """`text` as lines of at most `most_px`."""
    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}".strip()
        if len(longer) * char_px <= most_px or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines
