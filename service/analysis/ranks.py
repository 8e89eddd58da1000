"""Tests that need no shape of the noise: signed ranks, exact, and Holm's adjustment."""

ALPHA = 0.05


def rounds_needed(arms: int) -> int:
    """The fewest rounds with which an arm among `arms` can get a verdict.

    With r rounds the smallest two-sided p of a signed-rank test is 2 / 2**r; Holm's first
    step multiplies it by the number of comparisons, which is one less than the arms.
    """
    rounds = 1
    while 2 / 2**rounds * max(1, arms - 1) > ALPHA:
        rounds += 1
    return rounds
