"""Logs of items: bounded, whole where they are short, and cut with a note where they are not."""

from hypothesis import given
from hypothesis import strategies as st

from batchpool.execution.item_logs import (
    MOST_BATCH_BYTES,
    MOST_ITEM_BYTES,
    NEXT_ATTEMPT,
    ItemLog,
    ItemLogs,
    LogBudget,
)

PARTS = st.lists(st.text(max_size=10) | st.builds("ä".__mul__, st.integers(0, 20_000)), max_size=9)


@given(PARTS)
def test_a_log_is_whole_or_its_beginning_and_end(parts: list[str]) -> None:
    log = ItemLog()
    for part in parts:
        log.append(part)
    whole = "".join(parts).encode("utf-8", "backslashreplace").decode()
    found = log.text()
    assert len(found.encode()) <= MOST_ITEM_BYTES
    if len(whole.encode()) <= MOST_ITEM_BYTES:
        assert found == whole
        return
    first, note, last = found.split("\n… ")[0], "bytes of the log were cut", found.split("…\n")[-1]
    assert note in found and whole.startswith(first) and whole.endswith(last)
    assert len(first.encode()) > MOST_ITEM_BYTES // 2 - 100 < len(last.encode())
    again = ItemLog()
    again.append(found)
    assert again.text() == found


def test_attempts_follow_each_other_until_they_are_taken() -> None:
    logs = ItemLogs()
    logs.begin(is_kept=True)
    for started_ns, text in ((1, "a"), (1, "b\n"), (5, "c")):
        logs.append(7, started_ns, text)
    logs.append(8, 2, "of another item")
    assert logs.take_all([6, 7, 9]) == {1: f"ab\n{NEXT_ATTEMPT}c\n"}
    assert logs.take(7) is None
    logs.begin(is_kept=False)
    logs.append(8, 3, "x")
    assert not logs.waiting


def test_what_waits_is_bounded_and_what_was_dropped_is_counted() -> None:
    logs = ItemLogs()
    logs.begin(is_kept=True)
    line = "x" * 100
    items = (16 << 20) // MOST_ITEM_BYTES + 100
    for index in range(items):
        for _ in range(MOST_ITEM_BYTES // 100):
            logs.append(index, 1, line)
    assert logs.take(items - 1) == "\n… 8,100 bytes of the log were cut here …\n"
    for index in range(items):
        logs.take(index)
    logs.append(0, 1, "again")
    assert logs.take(0) == "again"


def test_half_of_a_batch_is_for_items_that_fail() -> None:
    budget, log = LogBudget(MOST_BATCH_BYTES // 2 - 6), "äüö"
    assert budget.fit(log, has_succeeded=True) == log
    assert budget.fit("x", has_succeeded=True) is None
    assert budget.fit("x", has_succeeded=False) == "x"
    budget.used_bytes = MOST_BATCH_BYTES
    assert budget.fit("x", has_succeeded=False) is None
