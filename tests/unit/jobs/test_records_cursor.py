"""The cursor of a stream of records: opaque, whole, and of one job only."""

import json
import random
import zlib
from base64 import urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchpool.jobs.records_cursor import decode_cursor, encode_cursor
from batchpool.ledger.values.job_entries import BatchEntry, NewJob, new_entry
from tests.support.job_specs import job_spec

MOST_IN_A_REQUEST_LINE = 4000


def batches(number: int, count: int = 1000) -> list[BatchEntry]:
    ranges = [(index * count, count) for index in range(number)]
    return new_entry(NewJob("j", job_spec(), ranges, None, "c", 60, 60, 60), 0).batches


@given(st.lists(st.integers(-1001, 1 << 40), min_size=1, max_size=50))
def test_a_cursor_gives_back_the_positions(positions: list[int]) -> None:
    assert decode_cursor(encode_cursor(positions), batches(len(positions))) == positions


def test_the_cursor_of_a_thousand_batches_under_way_fits_into_a_request() -> None:
    chance = random.Random(1)
    positions = [chance.randrange(10_000) for _ in range(1000)]
    assert len(encode_cursor(positions)) < MOST_IN_A_REQUEST_LINE


def packed(text: str) -> str:
    return urlsafe_b64encode(zlib.compress(text.encode())).decode()


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "W10",
        "é",
        "A",
        encode_cursor([1]),
        encode_cursor([1, -1002]),
        encode_cursor([1, (1 << 40) + 1]),
        packed("[1,true]"),
        packed('{"a":1,"b":2}'),
        packed("[1,1.5]"),
        packed("[" * 5000),
        packed("[1,2" + " " * (2 << 20) + "]"),
        packed(json.dumps([1, 2]))[:-6],
    ],
)
def test_what_no_stream_of_the_job_gave_is_refused(cursor: str) -> None:
    with pytest.raises(ValueError, match="must be a cursor that a stream of this job gave"):
        decode_cursor(cursor, batches(2))
