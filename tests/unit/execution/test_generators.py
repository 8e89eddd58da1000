"""Generators are found among all objects, whatever those are, and get states of their own."""

import random
from typing import Any

from batchpool.execution.generators import find_generators, reseed_generators


def refuse(*_: object) -> Any:
    raise RuntimeError("not configured")


class Fixed(random.Random):
    """A generator that must be given a seed."""

    def seed(self, *args: Any) -> None:
        super().seed(*args) if args else refuse()


def test_objects_and_generators_that_refuse_do_not_keep_others_from_new_states() -> None:
    # What frameworks' settings are before they are set up.
    lazy = type("Lazy", (), {"__class__": property(refuse)})()
    kept = [Fixed(1), random.Random(1)]
    before = [each.getstate() for each in kept]
    find_generators()
    reseed_generators()
    after = [each.getstate() for each in kept]
    del lazy
    assert after[0] == before[0]
    assert after[1] != before[1]
