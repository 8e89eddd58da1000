"""A reader of the log that is slow, stopped or gone stops nobody else."""

import os
import threading
import time
from collections.abc import Iterator

import pytest

from batchpool.cli.log_writer import MAX_PENDING_CHARS, LogWriter
from tests.support.waiting import check_time


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    read, write = os.pipe()
    yield read, write
    for fd in (read, write):
        try:
            os.close(fd)
        except OSError:
            continue


def render(name: str, line: str) -> str:
    return f"{name}: {line}\n"


def test_lines_arrive_in_order(pipe: tuple[int, int]) -> None:
    log = LogWriter(pipe[1], render)
    for number in range(100):
        log("worker-1", str(number))
    log.close()
    assert os.read(pipe[0], 1 << 16).decode() == "".join(f"worker-1: {n}\n" for n in range(100))


def test_a_reader_that_sleeps_delays_nobody_and_hears_what_was_dropped(
    pipe: tuple[int, int],
) -> None:
    log = LogWriter(pipe[1], render)
    began = time.monotonic()
    line = "x" * 1000
    for _ in range(5000):
        log("worker-1", line)
    check_time("5,000 lines that nobody reads", time.monotonic() - began, 2)
    assert log._pending_chars <= MAX_PENDING_CHARS
    read: list[bytes] = []

    def drain() -> None:
        while chunk := os.read(pipe[0], 1 << 16):
            read.append(chunk)

    reader = threading.Thread(target=drain)
    reader.start()
    deadline = time.monotonic() + 10
    while b"were dropped" not in b"".join(read[-2:]) and time.monotonic() < deadline:
        time.sleep(0.01)
    log.close()
    os.close(pipe[1])
    reader.join(5)
    text = b"".join(read).decode()
    kept = text.count("worker-1: ")
    assert f"stack: {5000 - kept:,} log lines were dropped" in text


def test_closing_does_not_wait_for_a_reader_that_sleeps(pipe: tuple[int, int]) -> None:
    log = LogWriter(pipe[1], render)
    for _ in range(500):
        log("worker-1", "x" * 1000)
    began = time.monotonic()
    log.close()
    check_time("closing", time.monotonic() - began, 3)


def test_a_reader_that_is_gone_ends_the_writing(pipe: tuple[int, int]) -> None:
    log = LogWriter(pipe[1], render)
    os.close(pipe[0])
    for _ in range(500):
        log("worker-1", "x" * 1000)
    began = time.monotonic()
    log.close()
    check_time("closing without a reader", time.monotonic() - began, 1)
    assert log._pending_chars == 0
