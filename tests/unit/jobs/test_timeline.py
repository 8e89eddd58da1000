"""The timeline against a slow reading of the same spans, item by item."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchpool.jobs.timeline import drawing, view
from batchpool.jobs.timeline.job_spans import JobSpans, grown
from batchpool.jobs.timeline.tracks import Lane
from batchpool.jobs.timeline.view import Window, show_timeline
from batchpool.ledger.blocks.block_times import TimedBlock
from batchpool.ledger.blocks.record_codec import decode_times, encode_block
from batchpool.ledger.values.job_entries import (
    BatchEntry,
    Epoch,
    JobEntry,
    LostOwner,
    NewJob,
    Tally,
    new_entry,
)
from batchpool.model import ExecutionSite, Outcome
from tests.support.job_specs import job_spec

MS = 1_000_000
SUBMITTED_MS = 5_000
OWNER = {"worker": "w", "host": "h", "pid": 2, "ppid": 1, "python": "3.11", "gil": True}
Blocks = dict[int, list[tuple[int, list[Outcome]]]]
"""Batch -> (epoch, outcomes) of its blocks."""


def entry(ranges: Sequence[tuple[int, int]] = ((0, 1000),), **spec: Any) -> JobEntry:
    """A job that ended 10 s after its submission; the one epoch of each batch began after 1 s."""
    new = NewJob("j", job_spec(**spec), ranges, None, "c", 60, 60, 60)
    job = replace(
        new_entry(new, SUBMITTED_MS), state="succeeded", finished_ms=SUBMITTED_MS + 10_000
    )
    for batch in job.batches:
        add_epoch(batch, 1000)
    return job


def add_epoch(batch: BatchEntry, started_ms: int, **more: Any) -> None:
    times = {"started_ms": SUBMITTED_MS + started_ms, "ended_ms": None, "end_reason": None}
    epoch: Any = OWNER | times | more
    batch.epochs.append(Epoch(**epoch))


def item(index: int, start_ms: float, wall_ms: float, site: int = 0, **more: Any) -> Outcome:
    """An item of the thread `site` of one process; times count from the epoch's start."""
    fields: dict[str, Any] = {"state": "succeeded", "value": 1, "error": None}
    fields |= {"site": ExecutionSite(2, 1, site, f"pool_{site}", 0)}
    start_ns, wall_ns = round(start_ms * MS), round(wall_ms * MS)
    times = {"started_ns": start_ns, "wall_ns": wall_ns, "cpu_ns": wall_ns // 2}
    return Outcome(index, **fields | times | more)


def read_job(job: JobEntry, blocks: Blocks, known: JobSpans | None = None) -> JobSpans:
    """The spans of a job with such blocks."""

    def read(batch: BatchEntry, after: int) -> list[TimedBlock]:
        found = blocks.get(batch.index, [])[after:]
        return [TimedBlock(e, decode_times(encode_block(made, 0))) for e, made in found]

    return grown(known or JobSpans(), job, read)


def positions(lane: Lane) -> range:
    return range(lane.first, lane.last)


@st.composite
def made_items(draw: st.DrawFn) -> list[Outcome]:
    """Items of up to three threads, of which some fail; on each, one after the other."""
    free = [0, 0, 0]
    made = []
    for index in range(draw(st.integers(1, 30))):
        site = draw(st.integers(0, 2))
        start, wall = free[site] + draw(st.integers(0, 50)), draw(st.integers(0, 50))
        free[site] = start + wall
        state = draw(st.sampled_from(["succeeded", "succeeded", "failed", "crashed", "cancelled"]))
        made.append(item(index, start, wall, site, state=state))
    return made


@given(made_items(), st.integers(0, 1500), st.integers(1, 1500), st.integers(1, 40))
def test_bins_say_what_a_slow_sum_says(
    made: list[Outcome], start_ms: int, length_ms: int, count: int
) -> None:
    spans = read_job(entry(), {0: [(1, made[:7]), *([(1, made[7:])] if made[7:] else [])]})
    start, stop = start_ms * MS, (start_ms + length_ms) * MS
    bounds = drawing.edges(start, stop, count)
    failures = 0
    for lane in spans.lanes:
        site = int(str(lane.track.place.thread).removeprefix("pool_"))
        mine = [(o.started_ns + 1000 * MS, o) for o in made if o.site.thread_id == site]
        assert len(positions(lane)) == len(mine)
        walls, cpus = lane.elapsed(bounds)
        for at, (first, last) in enumerate(pairwise(bounds)):
            busy = sum(max(0, min(s + o.wall_ns, last) - max(s, first)) for s, o in mine)
            assert walls[at + 1] - walls[at] == busy
            assert cpus[at + 1] - cpus[at] == pytest.approx(busy / 2, abs=10)
        seen = [lane.track.spans.index[at] for at in lane.visible(start, stop)]
        reaching = [o.index for s, o in mine if s < stop and s + o.wall_ns >= start]
        # Of those without any length at the very start, the last one is shown at most.
        assert set(seen) <= set(reaching)
        assert {o.index for s, o in mine if s < stop and s + o.wall_ns > start} <= set(seen)
        shown = drawing.bins(lane, lane.visible(start, stop), bounds)
        bad = [o.index for s, o in mine if o.state in ("failed", "crashed") and o.index in seen]
        assert sum(n for _, _, n in shown["failed"]) == len(bad)
        assert {index for _, index, _ in shown["failed"]} <= set(bad)
        for at, index, _ in shown["failed"]:
            began = next(s for s, o in mine if o.index == index)
            assert began < bounds[at + 1] and (at == 0 or began >= bounds[at])
        failures += len(bad)
    assert spans.total == len(made)


def test_the_next_pool_of_a_process_goes_on_in_the_lanes_of_the_one_before() -> None:
    later = ExecutionSite(2, 1, 77, "pool_0", 0)
    spans = read_job(entry(), {0: [(1, [item(0, 0, 5), item(1, 9, 5)._replace(site=later)])]})
    (lane,) = spans.lanes
    assert [lane.track.spans.index[at] for at in positions(lane)] == [0, 1]


@given(st.lists(st.tuples(st.integers(0, 200), st.integers(1, 50)), min_size=1, max_size=40))
def test_what_overlaps_is_put_into_the_fewest_lanes(times: list[tuple[int, int]]) -> None:
    made = [item(at, start, wall) for at, (start, wall) in enumerate(times)]
    spans = read_job(entry(backend="asyncio"), {0: [(1, made)]})
    most = max(
        sum(start <= moment < start + wall for start, wall in times) for moment in range(250)
    )
    assert len(spans.lanes) == most
    found = []
    for lane in spans.lanes:
        columns = lane.track.spans
        bars = [(columns.start[at], columns.wall[at]) for at in positions(lane)]
        for (start, wall), (following, _) in pairwise(bars):
            assert start + wall <= following
        found += [columns.index[at] for at in positions(lane)]
    assert sorted(found) == list(range(len(times)))


def test_a_running_job_grows_by_its_new_blocks_only() -> None:
    job = replace(entry(), state="running", finished_ms=None)
    blocks: Blocks = {0: [(1, [item(0, 0, 5), item(1, 10, 5, 1)])]}
    first = read_job(job, blocks)
    # Written later though it began earlier: another thread was faster.
    blocks[0].append((1, [item(2, 6, 3), item(3, 0, 5, 1)]))
    second = read_job(job, blocks, first)
    whole = read_job(job, blocks)
    assert (first.total, second.total) == (2, 4)
    assert first.blocks == {0: 1} and second.blocks == {0: 2} and not second.complete
    now = SUBMITTED_MS + 2000
    assert show_timeline(job, second, Window(), now) == show_timeline(job, whole, Window(), now)
    assert show_timeline(job, first, Window(), now)["total"] == 2


def test_bars_have_the_times_of_their_items() -> None:
    job = entry([(0, 2), (2, 2)])
    failed = item(3, 20, 1, state="failed", attempt=3)
    spans = read_job(job, {0: [(1, [item(0, 0, 10), item(1, 12.5, 2)])], 1: [(1, [failed])]})
    shown = show_timeline(job, spans, Window(), 0)
    assert (shown["from"], shown["to"], shown["end"], shown["now"]) == (0, 10, 10, None)
    assert (shown["binned"], shown["bin_s"], shown["total"], shown["shown"]) == (False, None, 3, 3)
    [lane] = shown["lanes"]
    assert (lane["host"], lane["worker"], lane["pid"], lane["label"]) == ("h", "w", 2, "thread 0")
    assert lane["bars"] == {
        "index": [0, 1, 3],
        "start": [1.0, 1.0125, 1.02],
        "wall": [0.01, 0.002, 0.001],
        "cpu": [0.005, 0.001, 0.0005],
        "state": "ssf",
        "attempt": [1, 1, 3],
        "epoch": [1, 1, 1],
        "batch": [0, 0, 1],
    }
    assert lane["queue"] == [[0.0, 1.0]]
    later = show_timeline(job, spans, Window(1.011, 1.013), 0)
    assert later["lanes"][0]["bars"]["index"] == [1] and later["shown"] == 1


def test_many_bars_become_bins_and_no_failure_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view, "FEW_BARS", 10)
    count = 4 * 100 + 1
    states = dict.fromkeys((7, 8, 399), "failed")
    made = [item(at, at, 0.5, state=states.get(at, "succeeded")) for at in range(count)]
    job, blocks = entry(), {0: [(1, made)]}
    spans = read_job(job, blocks)
    window = Window(1.0, 1.401, 100)
    shown = show_timeline(job, spans, window, 0)
    assert (shown["binned"], shown["shown"], shown["bin_s"]) == (
        True,
        count,
        pytest.approx(0.00401),
    )
    bins = shown["lanes"][0]["bins"]
    assert len(bins["busy"]) == 100 and all(45 <= share <= 55 for share in bins["busy"])
    assert all(22 <= share <= 28 for share in bins["cpu"])
    assert bins["failed"] == [[1, 7, 2], [99, 399, 1]]
    whole = show_timeline(job, spans, Window(0, 10, 100), 0)["lanes"][0]["bins"]["failed"]
    assert [index for _, index, _ in whole] == [7, 399] and sum(n for _, _, n in whole) == 3
    assert not show_timeline(job, spans, Window(1.0, 1.4, 100), 0)["binned"]


def test_one_item_processes_share_lanes_and_threads_have_their_own() -> None:
    def process(index: int, start: float) -> Outcome:
        return item(index, start, 4)._replace(site=ExecutionSite(50 + index, 1, 1, "M", 0))

    made = [process(at, 2.5 * at) for at in range(6)]
    spans = read_job(entry(backend="multiprocessing"), {0: [(1, made)]})
    shown = show_timeline(entry(backend="multiprocessing"), spans, Window(), 0)
    assert [lane["label"] for lane in shown["lanes"]] == ["process 1 of 2", "process 2 of 2"]
    assert [lane["pid"] for lane in shown["lanes"]] == [None, None]
    assert sum(lane["items"] for lane in shown["lanes"]) == 6
    pool = read_job(entry(backend="process-pool"), {0: [(1, made)]})
    assert len(pool.lanes) == 6


def test_lanes_stand_by_worker_and_process_in_the_order_of_first_work() -> None:
    job = entry([(0, 10), (10, 10)])
    job.batches[1].epochs[0]["worker"] = "a later one"
    blocks: Blocks = {
        0: [(1, [item(0, 50, 1, 1), item(1, 60, 1, 0)])],
        1: [(1, [item(10, 55, 1, 2)])],
    }
    shown = show_timeline(job, read_job(job, blocks), Window(), 0)
    lanes = [(lane["worker"], lane["thread"]) for lane in shown["lanes"]]
    assert lanes == [("w", "pool_1"), ("w", "pool_0"), ("a later one", "pool_2")]


def test_lanes_that_are_not_shown_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view, "MOST_LANES", 2)
    spans = read_job(entry(), {0: [(1, [item(at, at, 1, at) for at in range(5)])]})
    shown = show_timeline(entry(), spans, Window(), 0)
    assert (shown["lanes_shown"], shown["lanes_total"], len(shown["lanes"])) == (2, 5, 2)
    assert (shown["shown"], shown["total"]) == (2, 5)


def test_a_takeover_is_marked_with_what_it_kept() -> None:
    job = entry()
    [batch] = job.batches
    lost: LostOwner = {"lease_ended_ms": SUBMITTED_MS + 3900, "in_flight": [3, 4]}
    batch.epochs[0].update(ended_ms=SUBMITTED_MS + 4000, end_reason="lost", lost=lost)
    batch.epochs[0].update(lease_ms=1000, refused_ms=SUBMITTED_MS + 6000)
    add_epoch(batch, 4500, worker="other")
    blocks: Blocks = {0: [(1, [item(at, at, 1) for at in range(3)]), (2, [item(3, 0, 1)])]}
    shown = show_timeline(job, read_job(job, blocks), Window(), 0)
    lost, takeover, again, refused = shown["marks"]
    assert (lost["from"], lost["items"]) == (2.9, 2)
    assert (again["kind"], again["at"], again["lane"]) == ("run_again", 4.5, 1)
    assert again["text"] == "runs item 3 again, which was in flight"
    assert (refused["kind"], refused["at"], refused["lane"]) == ("refused_write", 6.0, 0)
    assert (lost["kind"], lost["at"], lost["worker"], lost["lane"]) == ("worker_lost", 4.0, "w", 0)
    assert (takeover["kind"], takeover["at"], takeover["kept"], takeover["lane"]) == (
        ("takeover", 4.5, 3, 1)
    )
    assert takeover["text"] == "takes over batch 0, keeps 3 of its 1,000 items"
    assert shown["lanes"][1]["queue"] == [[4.0, 4.5]]


def test_the_shared_sum_is_thinned_to_the_width_with_its_last_step() -> None:
    job = entry(shared_sum="global")
    made = [item(at, at, 1, sum_seen=at) for at in range(1000)]
    spans = read_job(job, {0: [(1, made)]})
    steps = show_timeline(job, spans, Window(width=100, shared_sum=True), 0)["shared_sum"]["lane"]
    assert len(steps["0"]) == 101
    assert (steps["0"][0], steps["0"][-1]) == ([1.001, 0], [2.0, 999])
    assert show_timeline(job, spans, Window(width=100), 0)["shared_sum"] is None


def test_a_job_without_records_has_no_lanes() -> None:
    shown = show_timeline(entry(), read_job(entry(), {}), Window(), 0)
    assert (shown["lanes"], shown["overview"], shown["total"]) == ([], [], 0)


def running_job(*batches: tuple[int, int], recorded: int = 2) -> JobEntry:
    """A job that runs: the items of each batch that are in flight, and all of them."""
    job = entry([(number * 100, count) for number, (_, count) in enumerate(batches)])
    made = [
        replace(batch, state="running", tally=Tally({"succeeded": recorded}, running=running))
        for batch, (running, _) in zip(job.batches, batches, strict=True)
    ]
    return replace(job, state="running", finished_ms=None, batches=made)


def running_since(job: JobEntry, blocks: Blocks) -> list[float | None]:
    shown = show_timeline(job, read_job(job, blocks), Window(), SUBMITTED_MS + 9000)
    return [lane["running"] for lane in shown["lanes"]]


def test_items_run_in_the_lanes_that_have_been_free_for_longest() -> None:
    blocks: Blocks = {0: [(1, [item(0, 0, 500, 0), item(1, 0, 300, 1)])]}
    assert running_since(running_job((2, 9)), blocks) == [1.5, 1.3]
    assert running_since(running_job((1, 9)), blocks) == [None, 1.3]
    assert running_since(running_job((2, 3)), blocks) == [None, 1.3]
    assert running_since(running_job((0, 9)), blocks) == [None, None]
    ended = replace(running_job((2, 9)), state="succeeded", finished_ms=SUBMITTED_MS + 9000)
    closed = replace(ended, batches=[replace(ended.batches[0], state="succeeded")])
    assert running_since(closed, blocks) == [None, None]


def test_the_first_items_of_a_worker_have_lanes_before_their_records() -> None:
    job = running_job((3, 9), recorded=0)
    shown = show_timeline(job, read_job(job, {}), Window(), SUBMITTED_MS + 9000)
    assert [lane["running"] for lane in shown["lanes"]] == [1.0] * 3
    assert {lane["worker"] for lane in shown["lanes"]} == {"w"}
    assert (shown["lanes_shown"], shown["lanes_total"], shown["total"]) == (3, 3, 0)
    one = {0: [(1, [item(0, 0, 500)])]}
    assert running_since(running_job((3, 9), recorded=1), one) == [1.5, 1.0, 1.0]


def test_what_was_recorded_is_never_later_than_now() -> None:
    job = running_job((1, 9))
    blocks: Blocks = {0: [(1, [item(0, 0, 500), item(1, 600, 400)])]}
    shown = show_timeline(job, read_job(job, blocks), Window(), SUBMITTED_MS + 1550)
    assert (shown["now"], shown["end"], shown["shown"]) == (2.0, 2.0, 2)
