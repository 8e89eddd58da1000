"""What a task returns becomes plain JSON data, or a refusal."""

import enum
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchpool.execution.result_encoding import (
    MAX_DEPTH,
    MAX_INT_DIGITS,
    ValueRefused,
    task_error,
    to_json_value,
)
from batchpool.model import MAX_VALUE_BYTES
from tests.support.waiting import check_time

JSON = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(),
    ),
    lambda children: st.one_of(st.lists(children), st.dictionaries(st.text(), children)),
    max_leaves=20,
)


class Colour(enum.IntEnum):
    RED = 1


@given(JSON)
def test_json_data_is_left_as_it_is(value: Any) -> None:
    assert to_json_value(value) == value


@pytest.mark.parametrize(
    ("value", "expected"),
    [((1, 2), [1, 2]), ({1: 2}, {"1": 2}), (Colour.RED, 1), ([Colour.RED], [1])],
)
def test_what_json_knows_becomes_json(value: Any, expected: Any) -> None:
    result = to_json_value(value)
    assert result == expected
    assert type(result) is type(expected)


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (object(), "unencodable_value"),
        (b"", "unencodable_value"),
        ({1, 2}, "unencodable_value"),
        (float("nan"), "unencodable_value"),
        ({"a": float("inf")}, "unencodable_value"),
        ("\udc80", "unencodable_value"),
        (["\udc80"], "unencodable_value"),
        (nested(MAX_DEPTH + 1), "unencodable_value"),
        (10**MAX_INT_DIGITS, "value_too_large"),
        (-(10**MAX_INT_DIGITS), "value_too_large"),
        ("x" * (MAX_VALUE_BYTES - 1), "value_too_large"),
        (["x" * (MAX_VALUE_BYTES // 2)] * 2, "value_too_large"),
    ],
)
def test_what_has_no_place_in_a_record_is_refused(value: Any, kind: str) -> None:
    with pytest.raises(ValueRefused) as refused:
        to_json_value(value)
    assert refused.value.error["type"] == kind
    json.dumps(refused.value.error)


def test_the_limits_themselves_are_allowed() -> None:
    assert to_json_value("x" * (MAX_VALUE_BYTES - 2))
    assert to_json_value(10**MAX_INT_DIGITS - 1)
    assert to_json_value(nested(MAX_DEPTH)) == nested(MAX_DEPTH)
    brackets = ["[{" * 500 + '"\\']
    assert to_json_value(brackets) == brackets


def test_an_error_shows_its_cause_and_no_frame_of_ours() -> None:
    def inner() -> None:
        raise KeyError("inner")

    def outer() -> None:
        try:
            inner()
        except KeyError as exc:
            raise RuntimeError("outer") from exc

    try:
        outer()
    except RuntimeError as exc:
        error = task_error(exc, own_frames=1)
    assert (error["type"], error["message"]) == ("RuntimeError", "outer")
    text = error["traceback"] or ""
    assert "KeyError: 'inner'" in text
    assert "in inner" in text
    assert "test_an_error" not in text


def test_long_messages_are_cut() -> None:
    try:
        raise ValueError("x" * 1_000_000)
    except ValueError as exc:
        error = task_error(exc)
    assert len(error["message"]) <= 10_000
    assert len(error["traceback"] or "") <= 60_000


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ({1: "a", "1": "b"}, "'1'"),
        ([{"x": {None: 1, "null": 2, True: 3, "true": 4}}], "'null', 'true'"),
        ({1.5: 0, "1.5": 0}, "'1.5'"),
    ],
)
def test_keys_that_json_would_make_one_are_refused_by_name(value: Any, names: str) -> None:
    with pytest.raises(ValueRefused) as caught:
        to_json_value(value)
    assert caught.value.error["type"] == "unencodable_value"
    assert names in caught.value.error["message"]


def refuse(*_: object) -> Any:
    raise RuntimeError("a task's own code")


class Secretive(type):
    """A class that does not tell its name."""

    def __getattribute__(cls, name: str) -> Any:
        is_name = name in ("__name__", "__qualname__", "__module__")
        return refuse() if is_name else super().__getattribute__(name)


# Made when they are needed: pytest asks all that a module has for its class.
HIDING: dict[str, Callable[[], Any]] = {
    "class": lambda: type("Lazy", (), {"__class__": property(refuse)}),
    "name": lambda: Secretive("Value", (), {}),
}
HIDING_ERRORS: dict[str, Callable[[], Any]] = {
    "traceback": lambda: type("E", (Exception,), {"__traceback__": property(refuse)}),
    "with_traceback": lambda: type("E", (Exception,), {"with_traceback": refuse}),
    "name": lambda: Secretive("E", (Exception,), {}),
}


@pytest.mark.parametrize("hides", HIDING)
def test_a_value_whose_class_cannot_be_asked_is_refused(hides: str) -> None:
    with pytest.raises(ValueRefused) as caught:
        to_json_value(HIDING[hides]()())
    assert caught.value.error["type"] == "unencodable_value"


def test_a_text_of_a_class_of_its_own_becomes_text() -> None:
    text = type("Text", (str,), {"__len__": refuse})("é")
    result = to_json_value(text)
    assert (type(result), result) == (str, "é")


@pytest.mark.parametrize("hides", HIDING_ERRORS)
def test_an_exception_that_hides_something_still_tells_its_message(hides: str) -> None:
    found = task_error(HIDING_ERRORS[hides]()("why"), own_frames=0)
    assert found["type"]
    assert found["message"] == "why"


TEXT = "x" * (100 << 20)


def with_note() -> Exception:
    error = ValueError("short")
    error.add_note(TEXT)
    return error


def with_cause() -> Exception:
    error = ValueError("short")
    error.__cause__ = RuntimeError(TEXT)
    return error


@pytest.mark.parametrize(
    "make",
    [lambda: ValueError(TEXT), with_note, with_cause, lambda: ExceptionGroup("", [OSError(TEXT)])],
)
def test_a_text_of_100_mb_costs_milliseconds(make: Callable[[], Exception]) -> None:
    try:
        raise make()
    except Exception as error:
        began = time.process_time()
        found = task_error(error, own_frames=0)
        took = time.process_time() - began
    check_time("CPU of a text of 100 MB", took, 0.05)
    assert found["traceback"] is not None
    # Its frames are shown too: a text that is cut at the end only would leave no room for them.
    assert "in test_a_text_of_100_mb" in found["traceback"] and "x…" in found["traceback"]
