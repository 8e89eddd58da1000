"""Records as columns, with pandas and without it."""

import sys
from typing import Any

import pytest

from batchpool.client.records_frame import record_columns, records_frame

RECORDS: list[dict[str, Any]] = [
    {"index": 0, "state": "succeeded", "value": {"a": 1}, "error": None, "wall_s": 0.5},
    {
        "index": 1,
        "state": "failed",
        "value": None,
        "error": {"type": "ValueError", "message": "no", "traceback": "…"},
        "wall_s": None,
    },
]


def test_each_field_is_a_column_and_an_error_is_two() -> None:
    assert record_columns(iter(RECORDS)) == {
        "index": [0, 1],
        "state": ["succeeded", "failed"],
        "value": [{"a": 1}, None],
        "error_type": [None, "ValueError"],
        "error_message": [None, "no"],
        "wall_s": [0.5, None],
    }
    assert record_columns([]) == {}


def test_without_pandas_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"to_pandas\(\) needs pandas.* pip install pandas"):
        records_frame(RECORDS)


def test_a_frame_has_the_item_index() -> None:
    pytest.importorskip("pandas", reason="pandas is missing: pip install pandas")
    frame = records_frame(RECORDS)
    assert list(frame.index) == [0, 1]
    assert list(frame["error_type"].fillna("none")) == ["none", "ValueError"]
    assert len(records_frame([])) == 0
