"""Text that a spreadsheet would run is marked; numbers stay numbers."""

from typing import Any

import pytest

from batchpool.jobs.csv_cell import csv_cell


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+cmd", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "-", "=HYPERLINK(x)", "\uff1d1+1"],
)
def test_what_may_be_a_formula_is_marked_as_text(text: str) -> None:
    assert csv_cell(text) == f"'{text}"


@pytest.mark.parametrize("value", ["-1", "-1.5e3", "+1", "plain", "", '"=1+1"', -1, 0.5, None])
def test_everything_else_stays_as_it_is(value: Any) -> None:
    assert csv_cell(value) == value
