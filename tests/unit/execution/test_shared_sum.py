"""Shared sums hold any numbers, also when a writer or a lock's holder is killed."""

import os
import signal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchpool.execution.shared_sum import FileSum, GlobalSum, LockedSum, to_json_number


@pytest.mark.parametrize("locked", [True, False])
def test_a_file_holds_one_sum_for_all_who_open_it(tmp_path: Path, locked: bool) -> None:
    path = tmp_path / "sum"
    parent, child = FileSum(path, locked, create=True), FileSum(path, locked)
    assert child.add(2**70) == 2**70
    assert parent.add(-1) == 2**70 - 1
    assert child.add(True) is None
    assert child.add("1") is None
    assert parent.observed() == child.observed() == 2**70 - 1
    parent.close()
    child.close()


@given(st.lists(st.one_of(st.integers(), st.floats(-1e9, 1e9))))
def test_all_strategies_add_as_python_does(numbers: list[int | float]) -> None:
    expected: int | float = 0
    for number in numbers:
        expected += number
    for strategy in (GlobalSum(), LockedSum()):
        for number in numbers:
            strategy.add(number)
        assert strategy.observed() == to_json_number(expected)


def test_integral_floats_are_shown_as_ints_and_what_json_lacks_not_at_all() -> None:
    assert to_json_number(3.0) == 3
    assert isinstance(to_json_number(3.0), int)
    assert to_json_number(0.5) == 0.5
    assert to_json_number(float("inf")) is None


def test_numbers_too_large_to_add_leave_the_sum_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "sum"
    shared = FileSum(path, True, create=True)
    for strategy in (GlobalSum(), LockedSum(), shared):
        strategy.add(0.5)
        strategy.add(10**3000)
        assert strategy.observed() == 0.5
    shared.close()


def test_a_killed_holder_of_the_lock_blocks_nobody(tmp_path: Path) -> None:
    path = tmp_path / "sum"
    parent = FileSum(path, True, create=True)
    ready, say_ready = os.pipe()
    child = os.fork()
    if child == 0:
        import fcntl

        mine = FileSum(path, True)
        mine.add(1)
        fcntl.flock(mine._file, fcntl.LOCK_EX)
        os.write(say_ready, b"x")
        signal.pause()
    os.read(ready, 1)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert parent.add(1) == 2
    parent.close()
    os.close(ready)
    os.close(say_ready)
