"""Reducers against Python's `statistics`, `Counter` and `sorted`, however the items are split."""

import json
import statistics
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchpool.exact_sum import ExactSum
from batchpool.ledger.broken import UNPARSABLE
from batchpool.reducers import count_values
from batchpool.reducers.reducer import MOST_BINS, MOST_K, OPS, STATE_BYTES, Reducer
from batchpool.reducers.reduction import BatchReductions, Reduction

Items = list[tuple[int, Any]]

NUMBERS = st.integers(-20, 20) | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
OTHERS = st.sampled_from([None, True, False, "", "a", "1", "é\n", [], [1], {}, {"a": 1}])
VALUES = NUMBERS | st.sampled_from([0.0, -0.0, 1, 1.0, 2.5]) | OTHERS
FEW = st.sampled_from([0, -0.0, 1, 1.0, True, 2])
"""Many of them are equal."""
SCALARS = (int, float, str, bool, type(None))


def is_number(value: Any) -> bool:
    return type(value) in (int, float)


def reduced(reducer: Reducer, items: Items) -> Any:
    """What a reducer comes to when all items are one block."""
    found = Reduction(reducer)
    found.add(*split(items))
    return found.show()


def split(items: Items) -> tuple[list[int], list[Any]]:
    ordered = sorted(items, key=lambda item: item[0])
    return [index for index, _ in ordered], [value for _, value in ordered]


def spread(data: st.DataObject, reducer: Reducer, items: Items) -> Any:
    """The same by batches and blocks in any order, with an owner that changes between blocks."""
    batches = data.draw(st.integers(1, 4))
    parts: list[Items] = [[] for _ in range(batches)]
    for item in data.draw(st.permutations(items)):
        parts[data.draw(st.integers(0, batches - 1))].append(item)
    total = Reduction(reducer)
    for part in parts:
        stored: dict[str, bytes] = {}
        while part:
            size = data.draw(st.integers(1, len(part)))
            block, part = part[:size], part[size:]
            stored |= BatchReductions({"it": reducer}, stored).add(*split(block))
        total.merge(Reduction.parse(reducer, stored.get("it")))
    return total.show()


def ranked(items: Items, sign: int) -> Items:
    return sorted(items, key=lambda item: (sign * item[1], item[0]))


def expected(reducer: Reducer, items: Items) -> Any:
    """The value of the reducer of the items that it takes, in Python's own words."""
    values = [value for _, value in items]
    match reducer.op:
        case "count":
            return len(values)
        case "sum":
            total = ExactSum()
            total.add_all(values)
            return total.value()
        case "mean":
            return float(statistics.mean(map(Fraction, values))) if values else None
        case "variance":
            exact = list(map(Fraction, values))
            return rounded(statistics.variance(exact)) if len(values) > 1 else None
        case "min" | "max":
            best = ranked(items, 1 if reducer.op == "min" else -1)[:1]
            return {"value": best[0][1], "index": best[0][0]} if best else None
        case "top":
            return [{"value": v, "index": at} for at, v in ranked(items, -1)[: reducer.k]]
        case "histogram":
            return histogram(reducer.edges(), values)
        case _:
            counts = Counter(map(text, values))
            by_count = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
            return [{"value": json.loads(key), "count": count} for key, count in by_count]


def rounded(number: Fraction) -> int | float:
    try:
        return float(number)
    except OverflowError:
        return round(number)


def text(value: Any) -> str:
    return json.dumps(value + 0.0 if type(value) is float else value, ensure_ascii=False)


def histogram(edges: list[Any], values: Iterable[Any]) -> Any:
    places = Counter(
        len(edges) - 1 if value == edges[-1] else bisect_right(edges, value) for value in values
    )
    counts = [places[at] for at in range(1, len(edges))]
    return {"bounds": edges, "counts": counts, "below": places[0], "above": places[len(edges)]}


REDUCERS = [
    *(Reducer(op) for op in OPS if op not in ("top", "histogram")),
    Reducer("top", k=1),
    Reducer("top", k=3),
    Reducer("histogram", bounds=[-1.5, 0, 1, 2.5]),
    Reducer("histogram", low=-10, high=10, bins=8),
]


@pytest.mark.parametrize("reducer", REDUCERS, ids=repr)
@given(data=st.data(), values=st.lists(VALUES, max_size=30) | st.lists(FEW, max_size=30))
def test_no_split_and_no_order_changes_what_python_says(
    reducer: Reducer, data: st.DataObject, values: list[Any]
) -> None:
    items = list(enumerate(values))
    taken = [item for item in items if takes(reducer, item[1])]
    skipped = [index for index, value in items if not takes(reducer, value)]
    found = spread(data, reducer, items)
    assert json.dumps(found) == json.dumps(
        {
            "value": expected(reducer, taken),
            "skipped": {"count": len(skipped), "first_index": min(skipped, default=None)},
            "overflow": 0,
        }
    )


def takes(reducer: Reducer, value: Any) -> bool:
    if reducer.op == "count":
        return True
    if reducer.op == "count_values":
        return type(value) in SCALARS
    return is_number(value) and (reducer.op != "top" or abs(value) < 10**40 or type(value) is float)


@given(values=st.lists(st.floats(-1e9, 1e9), min_size=2, max_size=40))
def test_floats_come_to_what_statistics_rounds_once(values: list[float]) -> None:
    items = list(enumerate(values))
    assert reduced(Reducer("mean"), items)["value"] == statistics.mean(values)
    assert reduced(Reducer("variance"), items)["value"] == statistics.variance(values)


@pytest.mark.parametrize(
    ("of", "value", "found"),
    [
        ("", 7, 7),
        ("/a", {"a": 7}, 7),
        ("/a/1", {"a": [1, 7]}, 7),
        ("/a~1b/~0", {"a/b": {"~": 7}}, 7),
        ("/", {"": 7}, 7),
        ("/0", {"0": 7}, 7),
        ("/b", {"a": 7}, None),
        ("/a/-", {"a": [7]}, None),
        ("/a/01", {"a": [1, 7]}, None),
        ("/a/2", {"a": [1, 7]}, None),
        ("/a", [7], None),
        ("/0", "7", None),
    ],
)
def test_a_pointer_leads_to_a_part_of_a_value(of: str, value: Any, found: int | None) -> None:
    shown = reduced(Reducer("sum", of=of), [(3, value)])
    assert shown["value"] == found
    assert shown["skipped"] == {
        "count": int(found is None),
        "first_index": 3 if found is None else None,
    }


def test_where_a_pointer_leads_nowhere_nothing_is_counted() -> None:
    shown = reduced(Reducer("count", of="/a"), [(0, {"a": None}), (1, {}), (2, 5)])
    assert (shown["value"], shown["skipped"]) == (1, {"count": 2, "first_index": 1})


def test_very_long_integers_are_skipped_and_long_ones_are_exact() -> None:
    long, too_long = 10**2000 - 1, 10**2000
    items: Items = [(0, long), (1, 1), (2, -too_long), (3, 0.5)]
    assert reduced(Reducer("max"), items)["value"] == {"value": long, "index": 0}
    shown = reduced(Reducer("variance"), [(0, long), (1, -long), (2, too_long)])
    assert shown["value"] == 2 * long**2 and shown["skipped"] == {"count": 1, "first_index": 2}
    assert reduced(Reducer("mean"), items)["skipped"]["count"] == 1


@given(
    data=st.data(),
    values=st.lists(
        st.integers(0, 99) | st.text(st.characters(exclude_categories=["Cs"]), max_size=9),
        max_size=60,
    ),
    most=st.integers(10, 100),
)
def test_which_values_have_room_depends_on_no_order(
    data: st.DataObject, values: list[Any], most: int
) -> None:
    items = list(enumerate(values))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(count_values, "MOST_BYTES", most)
        patch.setattr(count_values, "LONGEST_BYTES", 12)
        shown = spread(data, Reducer("count_values"), items)
    fitting = [text(value) for value in values if len(text(value).encode()) <= 8]
    kept, used = [], 0
    for each in sorted(set(fitting)):
        used += len(each.encode()) + 4
        if used > most:
            break
        kept.append(each)
    counts = Counter(fitting)
    found = {text(pair["value"]): pair["count"] for pair in shown["value"]}
    assert found == {each: counts[each] for each in kept}
    assert shown["overflow"] == len(values) - sum(found.values())
    assert shown["skipped"]["count"] == 0


def fill_top() -> tuple[Reducer, Items]:
    return Reducer("top", k=MOST_K), [(9_000_000 + at, 1 - 10**40 + at) for at in range(MOST_K)]


def fill_histogram() -> tuple[Reducer, Items]:
    reducer = Reducer("histogram", low=0, high=MOST_BINS, bins=MOST_BINS)
    return reducer, [(at, at) for at in range(MOST_BINS)] * 300


def fill_short_values() -> tuple[Reducer, Items]:
    return Reducer("count_values"), [(at, at % 20_000) for at in range(6_000_000, 6_300_000)]


def fill_long_values() -> tuple[Reducer, Items]:
    return Reducer("count_values"), [(at, f"{at:01000}") for at in range(200)]


def fill_variance() -> tuple[Reducer, Items]:
    return Reducer("variance"), [(at, 10**2000 - at) for at in range(1, 99)] + [(100, 5e-324)]


@pytest.mark.parametrize(
    "fill", [fill_top, fill_histogram, fill_short_values, fill_long_values, fill_variance]
)
def test_a_full_state_has_at_most_64_kib(fill: Callable[[], tuple[Reducer, Items]]) -> None:
    reducer, items = fill()
    found = Reduction(reducer)
    found.add(*split(items))
    assert len(found.dump()) <= STATE_BYTES
    again = Reduction.parse(reducer, found.dump())
    assert again.show() == found.show() and again.dump() == found.dump()


@pytest.mark.parametrize("reducer", REDUCERS, ids=repr)
@pytest.mark.parametrize("state", [b"", b"\xc1", b"\x93\x00\xc0", b"\x05", b"\x93\x00\xc0\xa1x"])
def test_a_state_that_is_none_is_refused(reducer: Reducer, state: bytes) -> None:
    with pytest.raises(UNPARSABLE):
        Reduction.parse(reducer, state)


def test_only_states_that_changed_are_written() -> None:
    reducers = {"low": Reducer("min"), "all": Reducer("count")}
    found = BatchReductions(reducers, {})
    assert set(found.add([0], [1])) == {"low", "all"}
    assert set(found.add([1], [5])) == {"all"}
