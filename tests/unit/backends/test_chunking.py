"""Chunks hold each item once, and more than one only when items are tiny."""

from hypothesis import given
from hypothesis import strategies as st

from batchpool.backends.chunking import TARGET_NS, Chunk, Chunker
from batchpool.backends.item_source import ItemSource
from batchpool.backends.outcomes import OutcomeCollector
from batchpool.execution.stop_flag import StopFlag


def source(count: int) -> ItemSource:
    stop_flag = StopFlag()
    outcomes = OutcomeCollector(lambda outcomes: None, stop_flag, 0, count)
    return ItemSource(range(count), outcomes, stop_flag)


@given(
    st.integers(0, 300),
    st.integers(1, 8),
    st.one_of(st.none(), st.integers(1, 50)),
    st.lists(st.integers(1, 10**9), min_size=1),
)
def test_each_item_is_in_one_chunk(
    count: int, lanes: int, fixed: int | None, times: list[int]
) -> None:
    chunker = Chunker(source(count), lanes, fixed)
    seen: list[int] = []
    number = 0
    while taken := chunker.take():
        assert fixed is None or len(taken) <= fixed
        seen += taken
        number += 1
        chunker.adjust(Chunk(number, taken, 0), times[number % len(times)])
    assert seen == list(range(count))


def test_chunks_grow_by_steps_while_items_are_tiny() -> None:
    chunker = Chunker(source(10**6), 2, None)
    sizes = []
    for number in range(8):
        taken = chunker.take()
        sizes.append(len(taken))
        chunker.adjust(Chunk(number, taken, 0), 1_000 * len(taken))
    assert sizes == [1, 4, 16, 64, 256, 1024, 4096, 16_384]


def test_chunks_of_long_items_hold_one() -> None:
    chunker = Chunker(source(1000), 2, None)
    for number in range(5):
        taken = chunker.take()
        assert len(taken) == 1
        chunker.adjust(Chunk(number, taken, 0), 40_000_000)


def test_the_end_of_a_wave_is_shared_out() -> None:
    chunker = Chunker(source(100_000), 4, None)
    for number in range(20):
        chunker.adjust(Chunk(number, range(4**number if number < 8 else 10_000), 0), 1)
    left = 100_000
    while taken := len(chunker.take()):
        assert taken <= max(1, left // 4)
        left -= taken


def test_what_is_given_back_comes_first() -> None:
    items = source(10)
    chunker = Chunker(items, 1, 3)
    assert list(chunker.take()) == [0, 1, 2]
    items.give_back([1, 2])
    assert [list(chunker.take()) for _ in range(2)] == [[1, 2], [3, 4, 5]]


def test_chunks_grow_to_the_time_that_one_may_take() -> None:
    chunker = Chunker(source(10_000), 2, None)
    for number in range(6):
        chunk = Chunk(number, chunker.take(), 0)
        chunker.adjust(chunk, 1_000_000 * len(chunk.indices))
    assert len(chunker.take()) * 1_000_000 == TARGET_NS
