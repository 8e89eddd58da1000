"""Params against the schema that a worker announced."""

from typing import Any

import pytest

from batchpool.jobs.params import fill_params
from batchpool.schemas.refusals import InvalidFields

SCHEMA = {
    "type": "object",
    "properties": {
        "seconds": {"type": "number", "minimum": 0, "default": 2},
        "mode": {"$ref": "#/$defs/Mode"},
    },
    "required": ["mode"],
    "$defs": {"Mode": {"enum": ["a", "b"]}},
}


def test_defaults_of_absent_properties_are_filled_in() -> None:
    assert fill_params(SCHEMA, {"mode": "a"}) == {"seconds": 2, "mode": "a"}
    assert fill_params(SCHEMA, {"mode": "b", "seconds": 5}) == {"seconds": 5, "mode": "b"}


@pytest.mark.parametrize(
    ("schema", "params", "field"),
    [
        (SCHEMA, {}, "params"),
        (SCHEMA, {"mode": "c"}, "params.mode"),
        (SCHEMA, {"mode": "a", "seconds": -1}, "params.seconds"),
        (SCHEMA, {"mode": "a", "second": 1}, "params.second"),
        (None, {"x": 1}, "params.x"),
    ],
)
def test_what_does_not_fit_is_named(
    schema: dict[str, Any] | None, params: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidFields) as caught:
        fill_params(schema, params)
    assert [error.field for error in caught.value.errors] == [field]


def test_a_schema_that_allows_more_takes_more() -> None:
    schema = {"type": "object", "additionalProperties": {"type": "integer"}}
    assert fill_params(schema, {"x": 1}) == {"x": 1}
    with pytest.raises(InvalidFields):
        fill_params(schema, {"x": "1"})


def test_a_task_without_params_has_none() -> None:
    assert fill_params(None, {}) == {}


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#/nowhere"},
        {"$ref": "http://127.0.0.1:1/never-fetched"},
        {"properties": {"a": {"pattern": "("}}},
        {"properties": {"a": {"minLength": "z"}}},
        {"type": "thing"},
    ],
)
def test_params_of_a_schema_that_cannot_be_applied_are_left_to_the_worker(
    schema: dict[str, Any],
) -> None:
    open_schema = schema | {"additionalProperties": True}
    assert fill_params(open_schema, {"a": "x"}) == {"a": "x"}
