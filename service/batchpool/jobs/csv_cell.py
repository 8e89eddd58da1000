"""Cells of a CSV file that no spreadsheet runs as a formula."""

from typing import Any

_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def csv_cell(value: Any) -> Any:
    """The value; text that a spreadsheet would take for a formula is marked as text.

    A number that is negative stays as it is, as text of JSON too.
    """
    if isinstance(value, str) and value.startswith(_STARTS) and not _is_number(value):
        return f"'{value}"
    return value


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text.isascii()
