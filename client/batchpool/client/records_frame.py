"""The records of a job as a table, for pandas."""

from collections.abc import Iterable
from typing import Any

from batchpool.json_value import JsonObject


def record_columns(records: Iterable[JsonObject]) -> dict[str, list[Any]]:
    """Return the records as columns of one length; an error becomes its type and its message."""
    columns: dict[str, list[Any]] = {}
    for record in records:
        for name, value in record.items():
            if name == "error":
                for part in ("type", "message"):
                    columns.setdefault(f"error_{part}", []).append(value and value[part])
            else:
                columns.setdefault(name, []).append(value)
    return columns


def records_frame(records: Iterable[JsonObject]) -> Any:
    """Return the records as a `pandas.DataFrame` by item index.

    Raises:
        ImportError: pandas is not installed.
    """
    try:
        import pandas
    except ImportError:
        raise ImportError(
            "to_pandas() needs pandas, which is missing: pip install pandas"
        ) from None
    frame = pandas.DataFrame(record_columns(records))
    return frame.set_index("index") if len(frame) else frame
