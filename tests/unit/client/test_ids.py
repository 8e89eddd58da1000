"""Ids are parts of paths, so that what is no id must not make another path."""

import pytest

from batchpool.client import Client, InvalidInput


@pytest.mark.parametrize("wrong", ["", "..", "../comparisons", "a/b", "a?x=1", "a#", "a b", "é"])
def test_what_is_no_id_is_refused_before_it_is_sent(wrong: str) -> None:
    # Nothing listens there: what was sent would be unreachable.
    with Client("http://127.0.0.1:1", retry_for_s=0) as client:
        for call in (client.job, client.cancel, client.delete, client.retry, client.values):
            with pytest.raises(InvalidInput, match="must be letters, digits"):
                call(wrong)
        with pytest.raises(InvalidInput):
            client.comparisons.delete(wrong)
        with pytest.raises(InvalidInput):
            client.lesson_run(wrong, "x")
