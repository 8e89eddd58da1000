"""Splitting into ranges, and who can run what."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchpool.jobs.planning import (
    Requirements,
    can_run,
    class_cpus,
    live_by_class,
    rank_classes,
    split_ranges,
)
from batchpool.ledger.values.announcements import LiveWorker, TaskCapabilities, WorkerCapabilities

BOTH = TaskCapabilities(has_sync=True, has_async=True)


def _class(name: str, seen_ms: int = 0, **changes: Any) -> WorkerCapabilities:
    known = WorkerCapabilities(
        id=name,
        python="3.11",
        seen_ms=seen_ms,
        tasks={"echo": BOTH, "cpu": replace(BOTH, has_async=False)},
        backends=("thread-pool", "process-pool", "asyncio"),
        start_methods=("spawn",),
    )
    return replace(known, **changes)


def _worker(class_id: str, **changes: Any) -> LiveWorker:
    worker = LiveWorker(
        name="w",
        host="box",
        pid=1,
        python="3.11",
        gil=True,
        cpus=4,
        class_id=class_id,
        state="idle",
    )
    return replace(worker, **changes)


@given(count=st.integers(1, 5000), data=st.data())
def test_ranges_cover_all_items_once_in_order_and_differ_by_at_most_one(
    count: int, data: st.DataObject
) -> None:
    ranges = split_ranges(count, data.draw(st.integers(1, count)))
    covered = [index for first, length in ranges for index in range(first, first + length)]
    assert covered == list(range(count))
    lengths = [length for _, length in ranges]
    assert max(lengths) - min(lengths) <= 1


@pytest.mark.parametrize(("count", "batches"), [(3, 4), (3, 0), (3, -1)])
def test_an_empty_batch_is_refused(count: int, batches: int) -> None:
    with pytest.raises(ValueError, match="must be 1 to 3"):
        split_ranges(count, batches)


@pytest.mark.parametrize(
    ("need", "able"),
    [
        (Requirements("echo", "thread-pool"), True),
        (Requirements("echo", "asyncio"), True),
        (Requirements("cpu", "asyncio"), False),
        (Requirements("nope", "thread-pool"), False),
        (Requirements("echo", "interpreter-pool"), False),
        (Requirements("echo", "process-pool", "spawn"), True),
        (Requirements("echo", "process-pool", "fork"), False),
    ],
)
def test_a_class_can_run_what_it_has_task_form_backend_and_start_method_for(
    need: Requirements, able: bool
) -> None:
    assert can_run(_class("a"), need) is able


def test_the_class_with_most_live_workers_comes_first() -> None:
    classes = [_class("a"), _class("b"), _class("c", tasks={})]
    workers = [_worker("a"), _worker("b"), _worker("b"), _worker("c")]
    ranked = rank_classes(classes, workers, Requirements("echo", "thread-pool"))
    assert [known.id for known in ranked] == ["b", "a"]


def test_draining_workers_do_not_count_and_the_class_seen_last_breaks_ties() -> None:
    classes = [_class("a", 5), _class("b", 9)]
    workers = [_worker("a", state="draining")]
    ranked = rank_classes(classes, workers, Requirements("echo", "thread-pool"))
    assert [known.id for known in ranked] == ["b", "a"]


def test_the_cpus_of_a_class_are_those_that_any_live_worker_has() -> None:
    workers = [_worker("a", cpus=8), _worker("a", cpus=2.5), _worker("b", cpus=1)]
    assert class_cpus(_class("a", cpus=16), workers) == 2
    assert class_cpus(_class("c", cpus=16), workers) == 16
    assert class_cpus(_class("c"), workers) == 1


def test_a_reserved_worker_lives_in_its_private_class_and_in_its_own() -> None:
    live = live_by_class([_worker("a~c~0"), _worker("a"), _worker("b", state="draining")])
    assert {name: len(found) for name, found in live.items()} == {"a~c~0": 1, "a": 2}
