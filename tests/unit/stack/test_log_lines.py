"""Lines of a log are cut, and bounded in memory."""

from collections.abc import Iterator

import pytest

from batchpool.stack.log_lines import MAX_LINE_BYTES, split_lines


def lines(*chunks: bytes) -> list[str]:
    given: Iterator[bytes] = iter([*chunks, b""])
    return list(split_lines(lambda: next(given)))


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [
        ([], []),
        ([b"one\ntwo\n"], ["one", "two"]),
        ([b"one\ntw", b"o"], ["one", "two"]),
        ([b"10 %\r20 %\r", b"30 %\r\ndone\n"], ["10 %", "20 %", "30 %", "done"]),
        ([b"\n\n  \n"], []),
        ([b"caf\xc3", b"\xa9\n"], ["café"]),
        ([b"\xff\n"], ["�"]),
    ],
)
def test_lines_end_at_newlines_and_carriage_returns(
    chunks: list[bytes], expected: list[str]
) -> None:
    assert lines(*chunks) == expected


def test_a_long_line_is_cut_and_the_rest_counted() -> None:
    (cut, after) = lines(*[b"x" * 1000] * 100, b"y" * 400_000 + b"\nnext\n")
    assert cut.startswith("x" * MAX_LINE_BYTES + " … ")
    assert cut.endswith(f"… {500_000 - MAX_LINE_BYTES:,} more bytes of this line were dropped")
    assert after == "next"


def test_a_long_line_without_an_end_is_shown_too() -> None:
    (cut,) = lines(*[b"x" * 1000] * 100)
    assert cut.endswith(f"… {100_000 - MAX_LINE_BYTES:,} more bytes of this line were dropped")
