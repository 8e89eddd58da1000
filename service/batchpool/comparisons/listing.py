"""The list of comparisons, newest first, filtered while it is read."""

from batchpool.ledger.comparisons import Comparisons, ComparisonSnapshot
from batchpool.schemas.comparison_queries import ComparisonsQuery

CHUNK = 100
MOST_LOOKED_AT = 2000
"""Comparisons looked at for one page; a page that found fewer has a cursor to go on from."""


def list_comparisons(
    comparisons: Comparisons, query: ComparisonsQuery
) -> tuple[list[ComparisonSnapshot], str | None]:
    """A page of comparisons and the cursor of the next one, None at the end."""
    found: list[ComparisonSnapshot] = []
    before = query.cursor
    looked_at = 0
    while looked_at < MOST_LOOKED_AT:
        ids = comparisons.page(CHUNK, before)
        if not ids:
            return found, None
        for comparison_id, seen in zip(ids, comparisons.look_many(ids), strict=True):
            if seen is not None and _is_wanted(seen, query):
                if len(found) == query.limit:
                    # One more than fits tells that there is a next page.
                    return found, before
                found.append(seen)
            before = comparison_id
            looked_at += 1
    return found, before


def _is_wanted(seen: ComparisonSnapshot, query: ComparisonsQuery) -> bool:
    entry = seen.entry
    return query.state in (None, entry.state) and query.task in (None, entry.spec["task"])
