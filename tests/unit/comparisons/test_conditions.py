"""What a comparison must show, as it is written."""

import pytest

from batchpool.comparisons.conditions import read_condition, read_conditions
from batchpool.schemas.refusals import InvalidFields

NAMES = ["sequential", "process-pool 2", "process-pool 2 x 4", "new code", "old"]


@pytest.mark.parametrize(
    ("text", "fast", "slow", "least"),
    [
        ("process-pool:2 > 1.5 * sequential", 1, 0, 1.5),
        ("process-pool 2>1.5*sequential", 1, 0, 1.5),
        ("process-pool:2x4 >= sequential", 2, 0, 1.0),
        ("process-pool:2 × 4 > sequential", 2, 0, 1.0),
        ("new code > 0.95 * old", 3, 4, 0.95),
        ("old < 2 * new code", 3, 4, 0.5),
        ("2 * old <= new code", 3, 4, 2.0),
        ("3 * old < 1.5 * new code", 3, 4, 2.0),
        ("old > .5 * new code", 4, 3, 0.5),
    ],
)
def test_a_condition_is_read_as_it_is_typed(text: str, fast: int, slow: int, least: float) -> None:
    found = read_condition(text, NAMES)
    assert (found.fast, found.slow, found.least) == (fast, slow, pytest.approx(least))
    assert found.text == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "sequential",
            "must be of the form ARM > NUMBER * ARM, got 'sequential'; arms: 'sequential', 'pro",
        ),
        ("", "must be of the form"),
        ("a = b", "must be of the form"),
        ("old > 2 * 3 * sequential", "must be of the form"),
        ("old > sequential > new code", "must be of the form"),
        ("old > fast", "unknown arm 'fast'; arms: 'sequential', 'process-pool 2'"),
        ("old > 2 old", "unknown arm '2 old'"),
        ("old > 1.1 * old", "compares 'old' with itself"),
        ("old > 0 * sequential", "a number from 0.000001 to 1000000"),
        ("old > -1 * sequential", "a number from"),
        ("old > 1e999 * sequential", "a number from"),
        ("old > nan * sequential", "a number from"),
        ("old > * sequential", "a number from"),
        ("old > ٣ * sequential", "a number from"),
    ],
)
def test_what_cannot_be_read_is_said(text: str, message: str) -> None:
    with pytest.raises(InvalidFields) as refused:
        read_conditions(["old > sequential", text], NAMES)
    (error,) = refused.value.errors
    assert error.field == "fail_unless.1"
    assert message in error.message
