"""The in-flight table names the items that a process runs, for readers of its file."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from batchpool.execution.in_flight import InFlightTable, read_in_flight_table


@pytest.fixture
def table(tmp_path: Path) -> Iterator[InFlightTable]:
    table = InFlightTable(tmp_path / "table")
    yield table
    table.close()
    assert str(table.path) not in Path("/proc/self/maps").read_text()


def test_running_items_are_read_by_their_slots(table: InFlightTable) -> None:
    table.open(3)
    assert read_in_flight_table(table.path) == []
    first, last = table.slot(0), table.slot(2)
    first[0], first[1] = 10, 0 + 1
    last[0], last[1] = 20, 41 + 1
    assert read_in_flight_table(table.path) == [(0, 10), (41, 20)]
    first[1] = 0
    assert read_in_flight_table(table.path) == [(41, 20)]
    table.close()
    assert read_in_flight_table(table.path) == []


@pytest.mark.parametrize("count", [1, 3, 500])
def test_the_next_batch_finds_its_slots_empty(table: InFlightTable, count: int) -> None:
    table.open(2)
    table.slot(1)[0], table.slot(1)[1] = 10, 7
    table.clear()
    assert read_in_flight_table(table.path) == []
    table.open(count)
    table.slot(count - 1)[1] = 5
    assert read_in_flight_table(table.path) == [(4, 0)]


def test_a_file_that_a_task_removed_is_made_anew(table: InFlightTable) -> None:
    table.open(1)
    table.clear()
    table.path.unlink()
    table.open(1)
    table.slot(0)[1] = 1
    assert read_in_flight_table(table.path) == [(0, 0)]


def test_a_slot_that_is_kept_writes_nothing_and_keeps_no_mapping(table: InFlightTable) -> None:
    table.open(1)
    kept = table.slot(0)
    assert str(table.path) in Path("/proc/self/maps").read_text()
    table.clear()
    with pytest.raises(ValueError):
        kept[1] = 1
    table.close()
    assert str(table.path) not in Path("/proc/self/maps").read_text()
