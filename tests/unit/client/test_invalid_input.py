"""The client names the item that it cannot send."""

import math
from typing import Any

import pytest

from batchpool.client import Client, InvalidInput, Job

RING: list[Any] = []
RING.append(RING)


@pytest.mark.parametrize(
    ("spec", "field", "says"),
    [
        ({"items": [1, math.nan]}, "items[1]", "finite"),
        ({"items": [1, {"a": math.inf}]}, "items[1]", "finite"),
        ({"items": [1, 2, object()]}, "items[2]", "JSON data, got object"),
        ({"items": iter([{1, 2}])}, "items[0]", "JSON data, got set"),
        ({"items": ["\ud800"]}, "items[0]", "Unicode"),
        ({"items": [RING]}, "items[0]", "contain itself"),
        ({"count": 1, "params": {"seconds": math.nan}}, "params.seconds", "finite"),
        ({"count": 1, "labels": {"run": b"1"}}, "labels.run", "JSON data, got bytes"),
        ({"items": [{"a": [1, {2}]}]}, "items[0]", "JSON data, got set"),
        ({"count": math.nan}, "count", "finite"),
    ],
)
def test_what_is_not_json_is_named(spec: dict[str, Any], field: str, says: str) -> None:
    with Client("http://127.0.0.1:9") as client, pytest.raises(InvalidInput) as refused:
        client.submit("echo", **spec)
    assert refused.value.field == field
    assert says in str(refused.value)
    assert isinstance(refused.value, ValueError)


def test_a_time_that_is_no_number_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(InvalidInput, match="retry_for_s: must be a number of seconds, got NaN"):
        Client(retry_for_s=math.nan)
    with Client("http://127.0.0.1:9") as client:
        asks = (
            lambda: client.run("echo", count=1, wait_s=math.nan),
            lambda: client.wait("j1", math.nan),
            lambda: client.compare("echo", [], count=1, wait_s=math.nan),
        )
        for ask in asks:
            with pytest.raises(InvalidInput, match="wait_s: must be a number of seconds"):
                ask()


def test_a_job_is_shown_in_one_short_line() -> None:
    progress = {"total": 5, "pending": 1, "running": 1, "succeeded": 3}
    data = {"id": "1a21", "state": "running", "sum": 6, "progress": progress, "batches": [{}] * 99}
    assert repr(Job(data)) == "<Job 1a21 running 3/5 items, sum 6>"
