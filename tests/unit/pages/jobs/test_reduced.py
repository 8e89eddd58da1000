"""The table of reduced values names each reducer, its value, and what is not in it."""

from typing import Any

import pytest

from batchpool.charts import numbers
from batchpool.pages.jobs.reduced import ReducedLine, reduced_lines
from tests.unit.pages.jobs.sample_jobs import job

NONE = {"count": 0, "first_index": None}


def line(reducer: dict[str, Any], value: Any, **more: Any) -> ReducedLine:
    shown = {"value": value, "skipped": NONE, "overflow": 0} | more
    (found,) = reduced_lines(job(spec={"reduce": {"it": reducer}}, reduced={"it": shown}))
    return found


@pytest.mark.parametrize(
    ("reducer", "value", "how", "lines"),
    [
        ({"op": "mean"}, 1234.5, "mean", [numbers.exact("1234.5")]),
        ({"op": "mean", "of": "/a"}, None, "mean of /a", [numbers.NOTHING]),
        ({"op": "min"}, {"value": 2, "index": 7}, "min", ["2, item 7"]),
        ({"op": "top", "k": 2}, [{"value": 9, "index": 3}], "top 2", ["9, item 3"]),
        (
            {"op": "count_values"},
            [{"value": "a", "count": 3}, {"value": None, "count": 1}],
            "count_values",
            ['"a": 3', "null: 1"],
        ),
        (
            {"op": "histogram", "bounds": [0, 0.5, 1]},
            {"bounds": [0, 0.5, 1], "counts": [4, 5], "below": 2, "above": 0},
            "histogram",
            ["below 0: 2", "0 to 0.5: 4", "0.5 to 1: 5"],
        ),
    ],
)
def test_each_op_has_its_words(
    reducer: dict[str, Any], value: Any, how: str, lines: list[str]
) -> None:
    found = line(reducer, value)
    assert (found.how, list(found.values), found.folded, found.notes) == (how, lines, (), ())


def test_what_is_left_out_is_said() -> None:
    values = [{"value": "x" * 200, "count": 1}] + [{"value": n, "count": 1} for n in range(20)]
    found = line({"op": "count_values"}, values, skipped={"count": 2, "first_index": 5}, overflow=1)
    assert found.values[0].endswith("…: 1") and len(found.values[0]) < 90
    assert (len(found.values), len(found.folded)) == (10, 11)
    assert found.fold == "10 of 21 shown; show more"
    assert found.notes == (
        f"{numbers.plural(2, 'value')} skipped, the first of item 5",
        f"no room for {numbers.plural(1, 'value')}",
    )


def test_a_histogram_is_shown_to_its_last_bin_and_the_rest_is_counted() -> None:
    bounds = list(range(1001))
    reducer = {"op": "histogram", "low": 0, "high": 1000, "bins": 1000}
    value = {"bounds": bounds, "counts": [1] * 1000, "below": 0, "above": 3}
    found = line(reducer, value)
    assert found.values[0] == f"above {numbers.exact('1000')}: 3"
    assert found.folded[-1].startswith(f"999 to {numbers.exact('1000')}")
    assert found.notes == ()
    many = [{"value": n, "count": 1} for n in range(1500)]
    found = line({"op": "count_values"}, many)
    assert found.notes == (
        f"{numbers.count(1010)} of {numbers.count(1500)} shown; the API has all",
    )
