"""Hash of a job's items: equal lists of items have equal hashes."""

import hashlib
import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from batchpool.ledger.values.job_spec import ItemsSummary

SLICE = 4096
"""Items encoded at once, so that a million of them need no second copy in memory."""

FIRST = 10
MOST_PREVIEW_BYTES = 4096

_ENCODE = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


class ItemsSummarizer:
    """Counts and hashes items that come in lists, and keeps the first ones if they are short."""

    def __init__(self) -> None:
        # SHA-256 over the compact JSON text of the list of all items.
        self._digest = hashlib.sha256(b"[")
        self._first: list[Any] = []
        self._room = MOST_PREVIEW_BYTES
        self.count = 0

    def add(self, items: Sequence[Any]) -> str:
        """Take the next items; returns their JSON texts with commas between them."""
        if self.count < FIRST and self._room >= 0:
            self._keep(items)
        text = _ENCODE(items)[1:-1]
        self._digest.update((text if self.count == 0 else "," + text).encode())
        self.count += len(items)
        return text

    def _keep(self, items: Sequence[Any]) -> None:
        for item in items[: FIRST - self.count]:
            self._room -= len(_ENCODE(item))
            if self._room < 0:
                break
            self._first.append(item)

    def summary(self) -> ItemsSummary:
        """What has come; nothing can be added then."""
        self._digest.update(b"]")
        return ItemsSummary(self.count, self._digest.hexdigest(), self._first)


def summarize_items(items: Sequence[Any]) -> ItemsSummary:
    """Count and hash of the items, which may be a range, and the first ones if they are short."""
    return _summarize_range(items) if isinstance(items, range) else _summarize(items)


# A job that is ordered by its `count` is often ordered again, and the whole text is hashed.
@lru_cache(maxsize=256)
def _summarize_range(items: range) -> ItemsSummary:
    return _summarize(items)


def _summarize(items: Sequence[Any]) -> ItemsSummary:
    summarizer = ItemsSummarizer()
    for start in range(0, len(items), SLICE):
        summarizer.add(list(items[start : start + SLICE]))
    return summarizer.summary()


def canonical_digest(value: Any) -> str:
    """SHA-256 over compact JSON with sorted keys: equal requests have equal hashes."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
