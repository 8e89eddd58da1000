"""Lines of items on the console: whole, named, and of bounded length."""

import io
from collections.abc import Iterator

import pytest

from batchpool.execution.item_output import MOST_LINE, ItemStream, begin_batch, enter_thread


@pytest.fixture
def slot() -> Iterator[list[int]]:
    slot = [5, 8]
    begin_batch("job", is_kept=False)
    enter_thread(slot)
    yield slot
    slot[1] = 0


def texts(console: io.StringIO) -> list[str]:
    """The lines without their times."""
    return [line.split(" ", 2)[2] for line in console.getvalue().splitlines()]


def test_parts_of_a_line_are_put_together(slot: list[int]) -> None:
    console = io.StringIO()
    stream = ItemStream(console, "stdout")
    for part in ("a", " ", "b\nc", "", "\r50 %", "\n\nd"):
        stream.write(part)
    assert texts(console) == [f"INFO stdout: job[7] {line}" for line in ("a b", "c", "50 %")]
    slot[:] = 9, 12
    stream.write("of the next item\n")
    assert texts(console)[3:] == ["INFO stdout: job[7] d", "INFO stdout: job[11] of the next item"]
    stream.write("rest")
    stream.finish_lines()
    assert texts(console)[5:] == ["INFO stdout: job[11] rest"]
    slot[1] = 0
    stream.write("of nobody")
    assert console.getvalue().endswith("\nof nobody")


def test_a_long_line_is_cut_and_one_without_end_takes_no_memory(slot: list[int]) -> None:
    console = io.StringIO()
    stream = ItemStream(console, "stderr")
    stream.write("x" * (MOST_LINE + 1234) + "\n")
    for _ in range(3):
        stream.write("y" * MOST_LINE)
    first, second = texts(console)
    note = " … {} more characters of this line were dropped"
    assert first.endswith("x" + note.format("1,234"))
    assert second.endswith("y" + note.format(f"{MOST_LINE:,}"))


def test_a_console_that_is_gone_is_no_failure_of_an_item(slot: list[int]) -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    stream = ItemStream(Gone(), "stdout")
    assert stream.write("a\n") == 2
    stream.flush()
    slot[1] = 0
    with pytest.raises(BrokenPipeError):
        stream.write("a\n")
    stream.close()
    assert stream.closed
    with pytest.raises(ValueError, match="closed file"):
        stream.write("a")
