"""Pages of a filtered list."""

import pytest

from batchpool.jobs.paging import MAX_SCANNED, collect_page


def pages(count: int, matching: set[int], limit: int, size: int) -> list[list[int]]:
    """All pages of a list of numbers that is read in pieces of `size`."""
    ids = [str(number) for number in range(count)]

    def scan(cursor: str | None, missing: int) -> list[tuple[str, int | None]]:
        start = int(cursor) + 1 if cursor else 0
        return [(n, int(n) if int(n) in matching else None) for n in ids[start : start + size]]

    found, cursor = collect_page(limit, None, scan)
    listed = [found]
    while cursor:
        found, cursor = collect_page(limit, cursor, scan)
        listed.append(found)
    return listed


@pytest.mark.parametrize("size", [1, 3, 20])
def test_pages_are_full_and_the_last_one_is_not_empty(size: int) -> None:
    assert pages(10, {0, 3, 4, 8}, 2, size) == [[0, 3], [4, 8]]
    assert pages(10, set(), 2, size) == [[]]


def test_a_page_ends_after_the_entries_that_may_be_scanned() -> None:
    last = MAX_SCANNED + 100
    assert pages(last + 1, {last}, 2, 500) == [[], [last]]
