"""The in-flight table names the items that a process runs, for readers of its file."""

from pathlib import Path

import pytest

from batchpool.execution.in_flight import InFlightTable, read_in_flight_table


def test_running_items_are_read_by_their_slots(tmp_path: Path) -> None:
    path = tmp_path / "table"
    with InFlightTable(path, 3) as table:
        assert read_in_flight_table(path) == []
        first, last = table.slot(0), table.slot(2)
        first[0], first[1] = 10, 0 + 1
        last[0], last[1] = 20, 41 + 1
        assert read_in_flight_table(path) == [(0, 10), (41, 20)]
        first[1] = 0
        assert read_in_flight_table(path) == [(41, 20)]
    assert read_in_flight_table(path) == []


def test_a_slot_that_is_kept_keeps_no_mapping(tmp_path: Path) -> None:
    path = tmp_path / "table"
    with InFlightTable(path, 1) as table:
        kept = table.slot(0)
        assert str(path) in Path("/proc/self/maps").read_text()
    assert str(path) not in Path("/proc/self/maps").read_text()
    with pytest.raises(ValueError):
        kept[1] = 0
