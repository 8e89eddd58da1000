"""Verdicts on recorded noise: few winners among equals, and the truth within the interval."""

import json

import pytest

from benchmarks.false_positives import LEAST_COVERED, MOST_FALSE, NOISE, TRUE_RATIO, Plan, tally
from tests.support.sampling import full

RECORDED = json.loads(NOISE.read_text())
SESSIONS = [100, *full(400)]


@pytest.mark.parametrize("sessions", SESSIONS)
@pytest.mark.parametrize("label", RECORDED)
def test_equal_arms_seldom_have_a_winner_when_the_machine_changes_its_speed(
    label: str, sessions: int
) -> None:
    found = tally(Plan(2, 10), RECORDED[label], sessions)
    assert found.winner <= MOST_FALSE
    assert found.without_aa <= MOST_FALSE


@pytest.mark.parametrize("sessions", SESSIONS)
@pytest.mark.parametrize("label", RECORDED)
def test_the_interval_covers_a_true_ratio(label: str, sessions: int) -> None:
    found = tally(Plan(2, 10, TRUE_RATIO), RECORDED[label], sessions)
    assert found.covered >= LEAST_COVERED


@pytest.mark.parametrize("sessions", SESSIONS)
def test_arms_that_are_not_interleaved_have_false_winners(sessions: int) -> None:
    # What interleaving is for: without it, and without the second run of the reference, the
    # same rules call every second session of equal arms a difference.
    found = tally(Plan(2, 10, is_blocked=True), RECORDED["quiet machine"], sessions)
    assert found.without_aa > 4 * MOST_FALSE
    assert found.winner == 0
