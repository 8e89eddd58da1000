"""Passed, failed or not proven: on sessions of a simulated machine."""

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.comparisons.analysis.sample_sessions import PAIR, Machine, analysed, arm

EQUAL = Machine(
    seed=0, arms=[arm("sequential", name="old"), arm("sequential", name="new")], noise=0.05
)
TWICE = Machine(seed=0, arms=PAIR, noise=0.05, waits_s=0.0)
TRUE_RATIO = 1.94
"""The speed of the second arm of `TWICE` / that of the first."""
SEEDS = range(40)


def judged(machine: Machine, condition: str) -> dict[str, Any]:
    session = machine.session()
    session.spec["fail_unless"] = [condition]
    (found,) = analysed(session)["conditions"]
    return dict(found)


def outcomes(machine: Machine, condition: str) -> list[str]:
    return [judged(replace(machine, seed=seed), condition)["outcome"] for seed in SEEDS]


def test_equal_arms_seldom_fail_a_condition_that_allows_noise() -> None:
    found = outcomes(EQUAL, "new > 0.95 * old")
    assert found.count("failed") <= len(found) / 20


def test_equal_arms_seldom_pass_a_condition_that_asks_for_a_difference() -> None:
    found = outcomes(EQUAL, "new > 1.0 * old")
    assert found.count("passed") <= len(found) / 20


def test_an_arm_that_is_slower_by_far_fails() -> None:
    # As an arm that is 1.3 times as slow fails to be faster than 0.95 times the other one.
    found = outcomes(TWICE, f"process-pool:1x2 > {TRUE_RATIO * 0.95 * 1.3} * sequential")
    assert found.count("failed") >= 0.85 * len(found)


def test_an_arm_that_is_as_fast_as_asked_passes() -> None:
    found = outcomes(TWICE, f"sequential < {1 / (TRUE_RATIO * 0.75)} * process-pool 1 x 2")
    assert found.count("passed") >= 0.85 * len(found)


def test_a_result_says_what_was_compared_with_what() -> None:
    found = judged(TWICE, "process-pool:1x2 > 1.5 * sequential")
    assert (found["fast"], found["slow"], found["least"]) == (
        "process-pool 1 x 2",
        "sequential",
        1.5,
    )
    ratio = found["ratio"]
    assert ratio["low"] < ratio["value"] < ratio["high"]
    assert ratio["value"] == pytest.approx(TRUE_RATIO, rel=0.05)
    assert found["outcome"] == "passed"
    assert found["rounds_needed"] is None
    assert found["why"].endswith("10 rounds): above 1.5")


def test_what_is_not_proven_says_how_many_rounds_it_needs() -> None:
    rule = "new > 0.94 * old"
    first = [(seed, judged(replace(EQUAL, seed=seed), rule)) for seed in SEEDS]
    open_ones = [(seed, found) for seed, found in first if found["outcome"] == "not proven"]
    assert all("within the interval" in found["why"] for _, found in open_ones)
    needed = {seed: found["rounds_needed"] for seed, found in open_ones if found["rounds_needed"]}
    assert len(needed) > 5
    # Planned with what one session showed, so for some it is too few.
    again = [
        judged(replace(EQUAL, seed=seed, rounds=min(100, rounds)), rule)["outcome"]
        for seed, rounds in needed.items()
    ]
    assert again.count("passed") >= len(again) / 2


def test_the_whole_interval_decides_and_not_its_middle() -> None:
    machine = replace(EQUAL, seed=3)
    ratio = judged(machine, "new > old")["ratio"]
    low, middle, high = ratio["low"], ratio["value"], ratio["high"]
    expected = {
        0.999 * low: "passed",
        (low + middle) / 2: "not proven",
        (middle + high) / 2: "not proven",
        1.001 * high: "failed",
    }
    found = {least: judged(machine, f"new > {least:.9f} * old")["outcome"] for least in expected}
    assert found == expected


def test_what_has_no_verdict_proves_nothing() -> None:
    session = replace(TWICE, seed=1).session()
    session.spec["fail_unless"] = ["process-pool:1x2 > 1.5 * sequential"]
    for sample in session.samples:
        if sample["arm"] == 1:
            sample["facts"]["checksum"] = "other"
    (found,) = analysed(session)["conditions"]
    assert found["outcome"] == "not proven"
    assert found["rounds_needed"] is None
    assert found["why"]


def test_too_few_rounds_prove_nothing() -> None:
    found = judged(replace(TWICE, rounds=7), "process-pool:1x2 > 1.1 * sequential")
    assert found["outcome"] == "not proven"
    assert (found["ratio"]["low"], found["ratio"]["high"]) == (None, None)
