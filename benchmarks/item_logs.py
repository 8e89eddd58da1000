"""`python -m benchmarks.item_logs`: CPU time of an item, by what it prints and what is kept of it.

In one thread, without Redis, HTTP or other processes. The console is /dev/null. Rounds of all are
interleaved.
"""

import os
import statistics
import sys
import time
from collections.abc import Callable

from batchpool.execution.item_output import (
    ItemStream,
    begin_batch,
    enter_thread,
    finish_lines,
    item_logs,
)
from batchpool.execution.run_item import Row, Work, current_site, run_items
from batchpool.execution.stop_flag import StopFlag

_COUNT = 20_000
_ROUNDS = 15


def _silent(item: int) -> int:
    return item


def _printing(item: int) -> int:
    sys.stdout.write(f"item {item}\n")
    return item


CASES: dict[str, tuple[Callable[[int], int], bool]] = {
    "silent, logs off": (_silent, False),
    "silent, logs kept": (_silent, True),
    "prints a line, logs off": (_printing, False),
    "prints a line, logs kept": (_printing, True),
}


def _run(function: Callable[[int], int], is_kept: bool, count: int) -> float:
    """CPU seconds of items that are run, and whose logs are taken as for a block."""
    slot, indices, rows = [0, 0], range(count), list[Row]()
    begin_batch("0123456789abcdef01234567", is_kept)
    started = time.process_time()
    enter_thread(slot)
    pairs = zip(indices, indices, strict=True)
    run_items(Work(function, StopFlag(), ()), current_site(), slot, pairs, rows.append)
    logs = item_logs.take_all(indices)
    finish_lines()
    assert len(logs) == (count if is_kept and function is _printing else 0)
    return time.process_time() - started


def measure(count: int, rounds: int) -> str:
    """Measure, and return a table."""
    found: dict[str, list[float]] = {name: [] for name in CASES}
    for number in range(rounds + 1):
        for name, (function, is_kept) in CASES.items():
            taken = _run(function, is_kept, count)
            if number:
                found[name].append(taken)
    lines = ["| | µs per item, median | least |", "| --- | ---: | ---: |"]
    for name, seconds in found.items():
        middle, least = statistics.median(seconds) / count * 1e6, min(seconds) / count * 1e6
        lines.append(f"| {name} | {middle:.2f} | {least:.2f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    terminal = sys.stdout
    with open(os.devnull, "w") as nowhere:
        sys.stdout = ItemStream(nowhere, "stdout")
        table = measure(_COUNT, _ROUNDS)
        sys.stdout = terminal
    sys.stdout.write(table + "\n")
