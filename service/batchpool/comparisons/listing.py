"""The list of comparisons, newest first, in filtered pages."""

from batchpool.jobs.paging import collect_page
from batchpool.ledger.comparisons import Comparisons, ComparisonSnapshot
from batchpool.schemas.comparison_requests import ComparisonsQuery

SCAN_PAGE = 100
"""Comparisons that are read in one call."""


def list_comparisons(
    comparisons: Comparisons, query: ComparisonsQuery
) -> tuple[list[ComparisonSnapshot], str | None]:
    """A page of comparisons and the cursor of the next one, None at the end."""

    def scan(cursor: str | None, missing: int) -> list[tuple[str, ComparisonSnapshot | None]]:
        ids = comparisons.page(SCAN_PAGE, cursor)
        found = comparisons.load_many(ids)
        matching = [each if each and _matches(each, query) else None for each in found]
        return list(zip(ids, matching, strict=True))

    return collect_page(query.limit, query.cursor, scan)


def _matches(snapshot: ComparisonSnapshot, query: ComparisonsQuery) -> bool:
    entry = snapshot.entry
    return query.state in (None, entry.state) and query.task in (None, entry.spec.task)
