"""Fingerprints of items."""

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchpool.jobs.items_digest import SLICE, summarize_items


@pytest.mark.parametrize("count", [1, 2, SLICE - 1, SLICE, SLICE + 1, 3 * SLICE])
def test_a_range_and_the_list_of_its_numbers_have_the_hash_of_their_json(count: int) -> None:
    text = json.dumps(list(range(count)), separators=(",", ":"))
    expected = hashlib.sha256(text.encode()).hexdigest()
    assert (
        summarize_items(range(count)).sha256
        == summarize_items(list(range(count))).sha256
        == expected
    )


LEAVES = st.none() | st.text() | st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(st.recursive(LEAVES, st.lists)))
def test_the_hash_is_over_the_compact_json_text(items: list[Any]) -> None:
    text = json.dumps(items, separators=(",", ":"))
    assert summarize_items(items).sha256 == hashlib.sha256(text.encode()).hexdigest()


def test_the_first_items_are_shown_while_they_are_few_and_small() -> None:
    assert summarize_items(range(12)).first == list(range(10))
    assert summarize_items([1, "x" * 5000, 2]).first == [1]
