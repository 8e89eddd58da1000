"""Read cells of CSV as the type that their column was given."""

import re
from collections.abc import Callable
from functools import partial
from json import JSONDecodeError

from batchpool.api.bodies.json_body import StrictParser
from batchpool.api.problems import MalformedBody
from batchpool.schemas.job_requests import ColumnType
from batchpool.schemas.reading import shown

# Most numbers; longer ones are left to the parser, which is slower.
_SHORT_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,17})")
_NUMBERS = (int, float)

# Made of text with all that it may have to look for: it sees one cell at a time.
_PARSER = StrictParser(b"\\ud" + b"e000" + b"0" * 4301 + b"[" * 101)


def cell_parser(kind: ColumnType) -> Callable[[str], object]:
    """A function from the text of a cell to its value, which is None if the cell is empty.

    It raises MalformedBody, which says what the cell must be.
    """
    return partial(_parse, kind)


def _parse(kind: ColumnType, text: str) -> object:
    if not text:
        return None
    if kind == "number" and _SHORT_INTEGER.fullmatch(text):
        return int(text)
    try:
        value: object = _PARSER.parse(text)
    except MalformedBody:
        raise
    except JSONDecodeError:
        raise _wrong(kind, text) from None
    if kind != "json" and type(value) not in (_NUMBERS if kind == "number" else (bool,)):
        raise _wrong(kind, text)
    return value


def _wrong(kind: ColumnType, text: str) -> MalformedBody:
    allowed = {"number": "a number as in JSON", "boolean": "true or false", "json": "JSON"}[kind]
    return MalformedBody(f"must be {allowed}, or empty, got {shown(text)}")
