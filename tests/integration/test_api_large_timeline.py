"""A job as large as they may be: its timeline, and the one failed item in it."""

import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from batchpool.ledger.ownership import Claim, Ending, Ownership, make_block
from batchpool.ledger.values.job_entries import Tally
from batchpool.model import ExecutionSite, Outcome, TaskError
from tests.support.sampling import full

THREADS, BLOCK = 8, 4096
FIRST_S, AGAIN_S, PAGE_BYTES, RSS_BYTES = 2.0, 0.2, 2_000_000, 150 << 20
TIMES_AS_LONG = 5
"""On a machine that does other things too."""


def outcomes(claim: Claim, failed: int) -> Iterator[Outcome]:
    error = TaskError(type="ValueError", message="no", traceback=None)
    for at in range(claim.count):
        thread, index = at % THREADS, claim.first + at
        site = ExecutionSite(100 + claim.batch, 1, thread, f"thread-pool_{thread}", 0)
        start_ns = at // THREADS * 20_000
        times = (start_ns, 15_000 + at % 5000, 5_000)
        if index == failed:
            yield Outcome(index, "failed", None, error, site, *times)
        else:
            yield Outcome(index, "succeeded", index, None, site, *times)


def run(stage: Any, count: int, failed: int) -> str:
    """A job of two batches that has ended, with one failed item."""
    job_id = str(stage.post(task="echo", count=count, batches=2)["id"])
    for batch in (0, 1):
        claim = stage.claim(job_id, batch)
        bad = failed in range(claim.first, claim.first + claim.count)
        states: Any = {"succeeded": claim.count - bad, "failed": int(bad)}
        made, last = outcomes(claim, failed), -(-claim.count // BLOCK)
        for number in range(1, last + 1):
            ending = Ending("failed" if bad else "succeeded", {}) if number == last else None
            block = make_block(claim, number, list(islice(made, BLOCK)), 0)
            answer = Ownership(stage.redis).flush(claim, block, Tally(states), ending)
            assert answer == "ok"
    return f"/v1/jobs/{job_id}"


def rss_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@pytest.mark.alone
@pytest.mark.parametrize("count", [20_000, *full(1_000_000)])
def test_a_large_job_is_seen_whole_and_in_part_at_once(stage: Any, count: int) -> None:
    failed = count * 2 // 3
    path = run(stage, count, failed)
    before = rss_bytes()

    def timed(query: str) -> tuple[float, Any, int]:
        began = time.perf_counter()
        text = stage.http.get(path + query).text
        return time.perf_counter() - began, text, len(text)

    first_s, _, _ = timed("/timeline")
    again_s, _, size = timed("/timeline?from=0.5")
    whole = stage.get(f"{path}/timeline?width=200")
    grown = rss_bytes() - before
    assert whole["binned"] and whole["total"] == whole["shown"] == count
    found = [each for lane in whole["lanes"] for each in lane["bins"]["failed"]]
    assert [(index, n) for _, index, n in found] == [(failed, 1)]
    start_s = found[0][0] * whole["bin_s"]
    bars_s, _, bars_size = timed(f"/timeline?from={start_s}&to={start_s + 0.04}&width=2000")
    near = stage.get(f"{path}/timeline?from={start_s}&to={start_s + 0.04}&width=2000")
    assert not near["binned"] and near["shown"] <= 50_000
    failed_s, _, _ = timed("/records?state=failed")
    [record] = stage.get(f"{path}/records?state=failed")["records"]
    assert record["index"] == failed
    print(  # noqa: T201
        f"\n{count:,} items: timeline {first_s:.2f} s, then {again_s:.3f} s, {size:,} bytes, "
        f"RSS + {grown / 2**20:.0f} MB; {near['shown']:,} bars {bars_s:.3f} s, "
        f"{bars_size:,} bytes; the failed record {failed_s:.2f} s"
    )
    assert first_s < FIRST_S * TIMES_AS_LONG and failed_s < TIMES_AS_LONG
    assert max(again_s, bars_s) < AGAIN_S * TIMES_AS_LONG
    assert max(size, bars_size) <= PAGE_BYTES and grown < RSS_BYTES
