"""Dataclasses to JSON objects and back."""

import json
from dataclasses import dataclass, field

from batchpool.json_value import JsonValue


@dataclass(frozen=True)
class Inner(JsonValue):
    number: int
    text: str = "default"


@dataclass(frozen=True)
class Outer(JsonValue):
    inner: Inner
    maybe: Inner | None
    several: tuple[Inner, ...]
    by_name: dict[str, Inner]
    params: dict[str, list[int]]
    renamed: Inner = field(metadata={"json": "old name"})
    plain: tuple[int, ...] = ()


def test_a_value_survives_the_way_through_json() -> None:
    one = Inner(1, "x")
    outer = Outer(one, None, (one, Inner(2)), {"a": one}, {"p": [1, 2]}, Inner(3), (4, 5))
    text = json.dumps(outer.to_json())
    assert Outer.from_json(json.loads(text)) == outer
    assert json.loads(text)["old name"] == {"number": 3, "text": "default"}


def test_names_of_other_versions_are_ignored_and_absent_ones_have_defaults() -> None:
    assert Inner.from_json({"number": 1, "colour": "red"}) == Inner(1)
