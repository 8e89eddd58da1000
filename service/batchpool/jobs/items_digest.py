"""Hash of a job's items: equal lists of items have equal hashes."""

import hashlib
import json
from collections.abc import Sequence
from itertools import islice
from typing import Any

from batchpool.ledger.values.job_spec import ItemsSummary

SLICE = 4096
"""Items encoded at once, so that a million of them need no second copy in memory."""

FIRST = 10
MOST_PREVIEW_BYTES = 4096

_ENCODE = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


def items_digest(items: Sequence[Any]) -> str:
    """SHA-256 over the compact JSON text of the list of `items`, which may be a range."""
    digest = hashlib.sha256(b"[")
    for start in range(0, len(items), SLICE):
        text = _ENCODE(list(items[start : start + SLICE]))
        digest.update((text[1:-1] if start == 0 else "," + text[1:-1]).encode())
    digest.update(b"]")
    return digest.hexdigest()


def summarize_items(items: Sequence[Any]) -> ItemsSummary:
    """Count and hash of the items, and the first ones if they are short."""
    first: list[Any] = []
    room = MOST_PREVIEW_BYTES
    for item in islice(items, FIRST):
        room -= len(_ENCODE(item))
        if room < 0:
            break
        first.append(item)
    return ItemsSummary(len(items), items_digest(items), first)


def canonical_digest(value: Any) -> str:
    """SHA-256 over compact JSON with sorted keys: equal requests have equal hashes."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
