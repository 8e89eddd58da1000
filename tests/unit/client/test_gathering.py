"""How waiting calls are put together to jobs."""

from concurrent.futures import Future
from itertools import repeat

import pytest

from batchpool.client import gathering
from batchpool.client.gathering import Gathering, TaskCall


def added(*calls: tuple[str, bytes]) -> Gathering:
    waiting = Gathering()
    for task, item in calls:
        waiting.add(TaskCall(task, item, Future()))
    return waiting


def taken(waiting: Gathering) -> list[tuple[str, list[bytes]]]:
    """The jobs that the calls become: task and items of each."""
    jobs = []
    while waiting:
        calls = waiting.take()
        assert len({call.task for call in calls}) == 1
        jobs.append((calls[0].task, [call.item for call in calls]))
    return jobs


def test_the_calls_of_a_task_are_one_job_in_their_order() -> None:
    waiting = added(("a", b"1"), ("b", b"2"), ("a", b"3"))
    assert [call.item for call in waiting] == [b"1", b"3", b"2"]
    assert taken(waiting) == [("a", [b"1", b"3"]), ("b", [b"2"])]


def test_a_job_has_a_bounded_number_of_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "MOST_CALLS", 3)
    waiting = added(*repeat(("a", b"1"), 7), ("b", b"2"))
    # No task waits for all calls of another one.
    assert [(task, len(items)) for task, items in taken(waiting)] == [
        ("a", 3),
        ("b", 1),
        ("a", 3),
        ("a", 1),
    ]


def test_a_job_has_a_bounded_size_and_at_least_one_call() -> None:
    third = b"1" * (gathering.MOST_BYTES // 3)
    waiting = added(*repeat(("a", third), 4), ("a", b"1" * 2 * gathering.MOST_BYTES), ("a", b"2"))
    assert [len(items) for _, items in taken(waiting)] == [3, 1, 1, 1]
