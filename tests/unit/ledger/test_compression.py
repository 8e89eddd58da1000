"""What others may have written is decompressed in bounded memory, or refused."""

import tracemalloc
import zlib
from collections.abc import Callable

import pytest

from batchpool.ledger.blocks.compression import decompress

MOST = 1 << 16


def test_a_block_of_the_most_bytes_is_given_back() -> None:
    assert decompress(zlib.compress(bytes(MOST)), MOST + 1) == bytes(MOST)


@pytest.mark.parametrize(
    "make",
    [
        lambda: zlib.compress(bytes(MOST * 1000)),
        lambda: zlib.compress(b"123456")[:-1],
        lambda: b"123456",
        lambda: b"",
    ],
    ids=["too large", "cut off", "not compressed", "empty"],
)
def test_any_other_is_refused_at_little_cost(make: Callable[[], bytes]) -> None:
    block = make()
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"cut off, or holds more than 65536|incorrect header"):
            decompress(block, MOST)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 20 * MOST
