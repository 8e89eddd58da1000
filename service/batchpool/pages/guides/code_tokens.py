"""Code as HTML: keywords, names, strings and comments in colour, some lines marked; pure."""

import keyword
import re
from collections.abc import Collection, Iterable, Iterator
from typing import Final

from markupsafe import Markup, escape

from batchpool.charts.visible_text import visible

_PYTHON: Final = re.compile(r"(?P<c>#.*)|(?P<s>\"[^\"]*\"|'[^']*')|(?P<word>[A-Za-z_]\w*)")
_JSON: Final = re.compile(r'(?P<n>"(?:[^"\\]|\\.)*"(?=:))|(?P<s>"(?:[^"\\]|\\.)*")')


def python_code(code: str, marked: tuple[int, int] = (0, 0)) -> Markup:
    """Python with its tokens in colour.

    Args:
        marked: the first and the last line that stand out, from 1.
    """
    first, last = marked
    lines = [Markup("").join(_python_parts(line)) for line in code.rstrip("\n").split("\n")]
    if not first:
        return Markup("\n").join(lines)
    head, hot, tail = lines[: first - 1], lines[first - 1 : last], lines[last:]
    # The marked lines are a block, which ends its line by itself.
    start = Markup("\n").join([*head, Markup("")])
    return start + _block("hot", Markup("\n").join(hot)) + Markup("\n").join(tail)


def json_code(lines: Iterable[tuple[str, str]], wrong: Collection[str]) -> Markup:
    """JSON with names and strings in colour; the lines of `wrong` fields stand out.

    Args:
        lines: each with the field that it holds.
    """
    text = Markup("")
    for line, field in lines:
        parts = Markup("").join(_json_parts(line))
        text += _block("hot wrong", parts) if field in wrong else parts + "\n"
    return text


def _block(kind: str, inside: Markup) -> Markup:
    return Markup('<span class="{}">{}</span>').format(kind, inside)


def _python_parts(line: str) -> Iterator[Markup]:
    is_definition = line.lstrip().startswith("def ")
    for kind, text in _parts(_PYTHON, line):
        if kind == "word":
            name = line.lstrip()[4:].partition("(")[0] if is_definition else None
            kind = "k" if keyword.iskeyword(text) else "n" if text == name else ""
        yield _coloured(kind, text)


def _json_parts(line: str) -> Iterator[Markup]:
    for kind, text in _parts(_JSON, line):
        yield _coloured(kind, text)


def _parts(pattern: re.Pattern[str], line: str) -> Iterator[tuple[str, str]]:
    at = 0
    for found in pattern.finditer(line):
        if found.start() > at:
            yield "", line[at : found.start()]
        yield str(found.lastgroup), found[0]
        at = found.end()
    if at < len(line):
        yield "", line[at:]


def _coloured(kind: str, text: str) -> Markup:
    return _block(kind, escape(visible(text))) if kind else escape(visible(text))
