"""What is raised for an item without a value."""

import pickle
import traceback
from typing import Any

import pytest

from batchpool.client import ItemsFailed, TaskFailed
from batchpool.client.task_errors import MOST_SAMPLES, Failures, item_error


def record(index: int = 0, kind: str = "ValueError", message: str = "no") -> dict[str, Any]:
    error = {"type": kind, "message": message, "traceback": f"Traceback …\n{kind}: {message}\n"}
    return {"index": index, "state": "failed", "error": error}


@pytest.mark.parametrize(
    ("kind", "message", "expected"),
    [
        ("ValueError", "no", ValueError("no")),
        ("ValueError", "", ValueError()),
        ("KeyError", "'a b'", KeyError("a b")),
        ("KeyError", "(1, 'x')", KeyError((1, "x"))),
        ("FileNotFoundError", "[Errno 2] No such file: 'x'", FileNotFoundError),
        ("TimeoutError", "late", TimeoutError("late")),
        # Not made from one message, not the same text, no exception, none of ours to raise.
        ("UnicodeDecodeError", "'utf-8' codec …", TaskFailed),
        ("KeyError", "<Key object at 0x7f>", TaskFailed),
        ("ExceptionGroup", "two (2 sub-exceptions)", TaskFailed),
        ("SystemExit", "1", TaskFailed),
        ("KeyboardInterrupt", "", TaskFailed),
        ("print", "x", TaskFailed),
        ("shop.ValueError", "no", TaskFailed),
        ("timeout", "ran for longer than 3 s", TaskFailed),
    ],
)
def test_a_builtin_exception_with_a_message_is_raised_as_itself(
    kind: str, message: str, expected: Any
) -> None:
    found = item_error(record(3, kind, message), "j1")
    if isinstance(expected, type):
        assert type(found) is expected
    else:
        assert (type(found), found.args) == (type(expected), expected.args)
    if isinstance(found, TaskFailed):
        assert (found.error_type, found.message) == (kind, message)
    text = "".join(traceback.format_exception(found))
    assert f"Traceback …\n{kind}: {message}\nitem 3 of job j1\n" in text


def test_an_item_that_never_ran_has_its_state_as_type() -> None:
    found = item_error({"index": 3, "state": "cancelled", "error": None}, "j1")
    assert isinstance(found, TaskFailed)
    assert (str(found), found.error_type) == ("cancelled", "cancelled")


def test_an_exception_of_an_item_can_be_pickled() -> None:
    found = pickle.loads(pickle.dumps(TaskFailed("shop.Gone", "no apples")))
    assert (str(found), found.error_type) == ("shop.Gone: no apples", "shop.Gone")


def group_of(*records: dict[str, Any]) -> ItemsFailed:
    failures = Failures("j1", 100)
    for each in records:
        failures.add(each)
    return failures.as_error()


def test_failures_are_counted_by_type_with_the_first_of_each() -> None:
    found = group_of(record(1), record(2, "shop.Gone"), record(5, "shop.Gone"), record(7, "A"))
    assert found.counts == {"shop.Gone": 2, "ValueError": 1, "A": 1}
    assert str(found) == (
        "4 of 100 items of job j1 have no value: 2 × shop.Gone, 1 × ValueError, 1 × A "
        "(3 sub-exceptions)"
    )
    caught: list[Any] = []
    try:
        raise found
    except* ValueError as values:
        caught += values.exceptions
    except* TaskFailed as others:
        caught += others.exceptions
    assert [str(each) for each in caught] == ["no", "shop.Gone: no", "A: no"]


def test_many_types_are_all_counted_and_some_are_shown() -> None:
    found = group_of(*(record(index, f"shop.E{index}") for index in range(50)))
    assert len(found.exceptions) == MOST_SAMPLES
    assert sum(found.counts.values()) == 50
    assert len(str(found)) < 500
