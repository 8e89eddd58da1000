"""What others may have written is decompressed in bounded memory, or refused."""

import tracemalloc
import zlib

import pytest

from batchpool.ledger.blocks.compression import decompress

MOST = 1 << 16


def test_a_block_of_the_most_bytes_is_given_back() -> None:
    assert decompress(zlib.compress(bytes(MOST)), MOST + 1) == bytes(MOST)


@pytest.mark.parametrize(
    "block",
    [zlib.compress(bytes(MOST * 1000)), zlib.compress(b"123456")[:-1], b"123456", b""],
    ids=["too large", "cut off", "not compressed", "empty"],
)
def test_any_other_is_refused_at_little_cost(block: bytes) -> None:
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"cut off, or holds more than 65536|incorrect header"):
        decompress(block, MOST)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20 * MOST
