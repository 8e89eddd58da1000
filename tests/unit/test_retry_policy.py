"""The waits between attempts, and the JSON of a policy."""

import pytest

from batchpool.retry_policy import RetryPolicy


def test_a_wait_is_random_up_to_a_bound_that_doubles_and_has_a_cap() -> None:
    for attempt, most_s in ((2, 0.2), (3, 0.4), (4, 0.8), (20, 30)):
        waits_s = [RetryPolicy(max=20).wait_s(attempt) for _ in range(200)]
        assert 0 <= min(waits_s) <= max(waits_s) <= most_s
        assert max(waits_s) > most_s / 2


def test_waits_without_jitter_are_the_bounds() -> None:
    policy = RetryPolicy(max=9, delay_s=1, factor=3, max_delay_s=20, jitter="none")
    assert [policy.wait_s(attempt) for attempt in (2, 3, 4, 5, 6)] == [1, 3, 9, 20, 20]


@pytest.mark.parametrize(
    ("policy", "text"),
    [
        (RetryPolicy(), 0),
        (RetryPolicy(max=3), 3),
        (
            RetryPolicy(max=3, on=("E",)),
            {"max": 3, "delay_s": 0.2, "factor": 2.0, "max_delay_s": 30.0, "jitter": "full"}
            | {"on": ["E"]},
        ),
    ],
)
def test_a_policy_of_defaults_is_a_number_in_json(policy: RetryPolicy, text: object) -> None:
    assert policy.to_json() == text
    assert RetryPolicy.from_json(text) == policy
