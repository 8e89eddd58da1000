"""Pages of a filtered list, collected by scanning it."""

from collections.abc import Callable, Sequence
from typing import TypeVar

MAX_SCANNED = 2000
"""Entries scanned for one page; a page that found fewer has a cursor to go on from."""

EntryT = TypeVar("EntryT")


def collect_page(
    limit: int,
    cursor: str | None,
    scan: Callable[[str | None, int], Sequence[tuple[str, EntryT | None]]],
) -> tuple[list[EntryT], str | None]:
    """A page of entries and the cursor of the next one, None at the end.

    Args:
        cursor: the id of the last entry of the page before.
        scan: given a cursor and how many entries are missing, returns the ids that follow it,
            each with its entry, or None where the filter excludes it; empty at the end.
    """
    found: list[EntryT] = []
    scanned = 0
    while scanned < MAX_SCANNED:
        entries = scan(cursor, limit - len(found))
        if not entries:
            return found, None
        for entry_id, entry in entries:
            if entry is not None:
                if len(found) == limit:
                    # One more than fits shows that there is a next page.
                    return found, cursor
                found.append(entry)
            cursor = entry_id
            scanned += 1
    return found, cursor
