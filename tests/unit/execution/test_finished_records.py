"""Finished records are read from a file whose process was killed at any moment."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchpool.execution.finished_records import FinishedRecords, read_finished
from batchpool.execution.run_item import Work, run_items
from batchpool.execution.slot import Slot
from batchpool.execution.stop_flag import StopFlag
from batchpool.model import ExecutionSite, Outcome, TaskError

HERE, THERE = ExecutionSite(10, 9, 1, "MainThread", 0), ExecutionSite(10, 9, 2, "thread-pool_0", 0)
ERROR = TaskError(type="ValueError", message="ä", traceback="Traceback")
VALUES = [0, -1, 2**63 - 1, 2**63, 10**40, 1.5, -0.0, None, True, False, "ä", [1, {"a": None}]]


@pytest.fixture
def file(tmp_path: Path) -> Iterator[FinishedRecords]:
    file = FinishedRecords(tmp_path / "finished")
    file.label = "1:abc"
    yield file
    file.close()
    assert str(file.path) not in Path("/proc/self/maps").read_text()


def run(records: Any, values: list[Any], site: ExecutionSite = HERE, first: int = 0) -> list[Any]:
    """Run tasks that return these values in the loop of the backends; what was put."""
    put: list[Any] = []
    slot = Slot([0, 0], put.append, records)
    run_items(Work(lambda item: item, StopFlag(), ()), site, slot, enumerate(values, first))
    return [Outcome._make(row) for row in put]


def read(file: FinishedRecords, label: str = "1:abc") -> list[Outcome]:
    return sorted(read_finished(file.path.read_bytes(), label))


def test_each_kind_of_record_is_read_as_it_was_put(file: FinishedRecords) -> None:
    first, second = file.open(2)
    put = run(first, [*VALUES, object()]) + run(second, VALUES, THERE, first=100)
    assert put[len(VALUES)].error is not None
    found = read(file)
    assert found == put
    assert [type(outcome.value) for outcome in found] == [type(outcome.value) for outcome in put]


def test_a_slot_that_other_threads_use_too_keeps_their_sites(file: FinishedRecords) -> None:
    (records,) = file.open(1)
    put = run(records, [1, 2]) + run(records, [3], THERE, 2) + run(records, [4, "x"], HERE, 3)
    assert read(file) == put


def test_a_shared_sum_that_was_seen_is_kept(file: FinishedRecords) -> None:
    (records,) = file.open(1)
    records.begin(HERE)
    row = Outcome(0, "succeeded", 5, None, HERE, 1, 2, 3, sum_seen=9)
    records.keep(records.at, row)
    assert read(file) == [row]


def test_the_last_records_are_kept_when_there_is_no_room_for_all(file: FinishedRecords) -> None:
    (records,) = file.open(1)
    put = run(records, list(range(40_000)))
    found = read(file)
    assert 8_000 <= len(found) < 40_000
    assert found == put[-len(found) :]


def test_what_is_too_large_is_not_kept(file: FinishedRecords) -> None:
    (records,) = file.open(1)
    put = run(records, [1, "x" * 100_000, 2])
    assert read(file) == [put[0], put[2]]


def test_records_of_another_batch_are_none(file: FinishedRecords) -> None:
    run(file.open(3)[2], [1, 2])
    assert read(file, "2:abc") == []
    file.label = "2:abc"
    run(file.open(1)[0], [3])
    assert read(file, "1:abc") == []
    assert [outcome.value for outcome in read(file, "2:abc")] == [3]
    file.open(3)
    assert read(file, "2:abc") == []


def test_without_space_nothing_is_kept_and_items_run(tmp_path: Path) -> None:
    file = FinishedRecords(tmp_path / "gone" / "finished")
    assert [outcome.value for outcome in run(file.open(1)[0], [1, "x"])] == [1, "x"]


@given(st.lists(st.tuples(st.integers(0, 700), st.binary(max_size=60))), st.integers(0, 900))
def test_a_file_that_was_scribbled_on_gives_records_or_none(
    tmp_path_factory: pytest.TempPathFactory, scribbles: list[tuple[int, bytes]], size: int
) -> None:
    file = FinishedRecords(tmp_path_factory.mktemp("f") / "finished")
    try:
        (records,) = file.open(1)
        put = run(records, [1, "x", 2.5, [1]])
        raw = bytearray(file.path.read_bytes())
        assert read_finished(bytes(raw), "") == put
        for at, piece in scribbles:
            raw[at : at + len(piece)] = piece
        for outcome in read_finished(bytes(raw[:size] if size else raw), ""):
            assert isinstance(outcome, Outcome)
    finally:
        file.close()
