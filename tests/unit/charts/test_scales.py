"""Axes: round ticks, one unit at the last, ratios as far above as below."""

import itertools

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from batchpool.charts import scales
from batchpool.charts.numbers import NO_BREAK, THIN


def labels(ticks: list[scales.Tick]) -> list[str]:
    return [tick.label.replace(NO_BREAK, " ").replace(THIN, " ") for tick in ticks]


def test_only_the_last_tick_has_the_unit() -> None:
    assert labels(scales.ticks(0, 0.72, "s")) == ["0.0", "0.2", "0.4", "0.6 s"]
    assert labels(scales.ticks(0, 2300, "items")) == ["0", "500", "1 000", "1 500", "2 000 items"]


@pytest.mark.parametrize(
    ("to_s", "shown"),
    [
        (0.00004, ["0", "20", "40 µs"]),
        (0.05, ["0", "20", "40 ms"]),
        (30.6, ["0", "20 s"]),
        (1200, ["0", "10", "20 min"]),
        (90_000, ["0", "10", "20 h"]),
    ],
)
def test_a_time_axis_has_the_unit_that_suits(to_s: float, shown: list[str]) -> None:
    ticks = scales.time_ticks(0, to_s, wanted=3)
    assert labels(ticks) == shown
    assert ticks[-1].value <= to_s


@given(st.floats(-1e9, 1e9), st.floats(1e-9, 1e9), st.integers(2, 12))
def test_ticks_are_few_and_within(low: float, span: float, wanted: int) -> None:
    assume(span > abs(low) * 1e-9)  # else the ticks would be nearer than floats are
    steps = scales.round_steps(low, low + span, wanted)
    assert len(steps) <= wanted + 1
    slack = span * 1e-6 + abs(low) * 1e-9
    assert all(low - slack <= step <= low + span + slack for step in steps)


def test_an_empty_span_has_one_tick() -> None:
    assert labels(scales.ticks(0, 0)) == ["0"]
    assert scales.LinearScale(0, 0, 10, 110)(0) == 10


def test_twice_and_half_are_equally_far_from_one() -> None:
    scale = scales.LogScale(0.2, 5, 0, 500)
    assert scale(2) - scale(1) == pytest.approx(scale(1) - scale(0.5))
    assert "1 ×" in labels(scales.ratio_ticks(scale))


def test_a_wide_axis_of_ratios_keeps_its_ticks_apart() -> None:
    scale = scales.LogScale(0.01, 400, 0, 400)
    at = [scale(tick.value) for tick in scales.ratio_ticks(scale)]
    assert len(at) >= 4
    assert min(b - a for a, b in itertools.pairwise(at)) >= 42
