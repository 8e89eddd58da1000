"""Conditions on real sessions: equal arms seldom fail, an arm that is 1.3 times as slow does."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from batchpool.client import Client
from batchpool.stack.local_stack import LocalStack, StackOptions

RULE = "new > 0.95 * old"
SLEEPS: dict[str, Any] = {"task": "sleep", "params": {"seconds": 0.02}, "count": 60, "warmup": 0}


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    options = StackOptions(workers=1, temporary=True, prefer_own_redis=True)
    with LocalStack(options) as stack, Client(stack.url) as client:
        yield client


def outcome(client: Client, slots: int, rounds: int) -> tuple[str, int | None]:
    """The outcome of a session, and the rounds that it asks for; `old` has 20 slots."""
    arms = [
        {"backend": "thread-pool", "concurrency": number, "name": name}
        for name, number in (("old", 20), ("new", slots))
    ]
    order = SLEEPS | {"arms": arms, "rounds": rounds, "fail_unless": [RULE], "reference": "old"}
    found = client.comparisons.wait(client.comparisons.submit(order), 120)
    assert found.succeeded
    return str(found.outcome), found.conditions[0]["rounds_needed"]


@pytest.mark.full
@pytest.mark.alone
@pytest.mark.timeout(900)
def test_equal_arms_fail_in_two_of_forty_sessions_at_most(
    client: Client, record_property: Any
) -> None:
    found = Counter(outcome(client, 20, 10)[0] for _ in range(40))
    record_property("outcomes", dict(found))
    assert found["failed"] <= 2, found


@pytest.mark.full
@pytest.mark.alone
@pytest.mark.timeout(900)
def test_an_arm_that_is_slower_by_a_third_fails_in_17_of_20_sessions(
    client: Client, record_property: Any
) -> None:
    # Three waves of sleeps against four: with the rounds that a first session asks for, if any.
    first, needed = outcome(client, 15, 8)
    rounds = 10 if first != "not proven" else min(60, max(10, needed or 10))
    found = Counter(outcome(client, 15, rounds)[0] for _ in range(20))
    record_property("outcomes", dict(found))
    assert found["failed"] >= 17, (rounds, found)
