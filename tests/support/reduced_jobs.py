"""Reducers for jobs of numbers, and what they must come to, by Python's own means."""

import statistics
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping
from typing import Any

BOUNDS = [0, 10, 50, 150]
REDUCE: dict[str, Any] = {
    "variance": {"op": "variance"},
    "least": {"op": "min"},
    "best": {"op": "top", "k": 5},
    "bins": {"op": "histogram", "bounds": BOUNDS},
    "values": {"op": "count_values"},
    "parts": {"op": "count", "of": "/part"},
}


def reduced_of(values: Mapping[int, int]) -> dict[str, Any]:
    """`reduced` of a job with these different values, by item index, at least two."""
    ranked = sorted(values.items(), key=lambda item: item[1])
    found = [{"value": value, "index": index} for index, value in ranked]
    places = Counter(bisect_right(BOUNDS, value) for value in values.values())
    places[len(BOUNDS) - 1] += places[len(BOUNDS)] - sum(v > BOUNDS[-1] for v in values.values())
    texts = sorted(map(str, values.values()))
    shown = {
        "variance": float(statistics.variance(values.values())),
        "least": found[0],
        "best": found[:-6:-1],
        "bins": {
            "bounds": BOUNDS,
            "counts": [places[at] for at in range(1, len(BOUNDS))],
            "below": places[0],
            "above": sum(value > BOUNDS[-1] for value in values.values()),
        },
        "values": [{"value": int(text), "count": 1} for text in texts],
        "parts": 0,
    }
    nothing = {"count": 0, "first_index": None}
    all_of_them = {"count": len(values), "first_index": min(values)}
    return {
        name: {
            "value": value,
            "skipped": all_of_them if name == "parts" else nothing,
            "overflow": 0,
        }
        for name, value in shown.items()
    }
