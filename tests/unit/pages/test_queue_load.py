"""The queue of a class: what waits now, and the last quarter of an hour."""

from batchpool.ledger.values.announcements import LiveWorker, WorkerCapabilities
from batchpool.ledger.values.load_samples import ClassLoad, LoadSample
from batchpool.pages.queue_load import build_queues

NOW_MS = 10_000_000
KNOWN = [
    WorkerCapabilities(id=name, python=name, backends=(), start_methods=(), tasks={})
    for name in ("3.11", "3.14")
]
WORKER = LiveWorker(
    name="w", host="h", pid=1, python="3.11", gil=True, cpus=2, class_id="3.11~x~0", state="idle"
)


def sample(ago_s: float, **classes: ClassLoad) -> LoadSample:
    named = {name.removeprefix("v").replace("_", "."): load for name, load in classes.items()}
    return LoadSample(NOW_MS - int(ago_s * 1000), named)


def test_what_waits_now_is_said() -> None:
    found = [sample(2, v3_11=ClassLoad(queued=2, oldest_s=14.4, running=1))]
    (line,) = build_queues(KNOWN, [WORKER], found, NOW_MS)
    assert line.name == "Python 3.11, GIL"
    assert line.waits == ("2\u00a0batches", "wait, the oldest for 14\u00a0s. 1\u00a0batch runs.")
    assert line.most == "most: 2"
    assert "<svg" in line.curve


def test_what_waited_before_is_no_longer_said() -> None:
    found = [sample(60, v3_11=ClassLoad(queued=7, oldest_s=3.0)), sample(2000, v3_14=ClassLoad(9))]
    (line,) = build_queues(KNOWN, [WORKER], found, NOW_MS)
    assert line.waits == ("Nothing waits.", "")
    assert line.most == "most: 7"


def test_a_class_without_a_worker_says_what_is_missing() -> None:
    found = [sample(0, v3_14=ClassLoad(queued=1, oldest_s=None))]
    first, second = build_queues(KNOWN, [WORKER], found, NOW_MS)
    assert (first.waits, first.curve) == (("Nothing waits.", ""), "")
    assert second.waits == ("1\u00a0batch", "waits.")
    assert second.helps == "No worker of this kind is here."


def test_a_sample_that_came_late_is_no_gap_in_the_curve() -> None:
    load = ClassLoad(queued=3, oldest_s=1.0)
    late = [sample(ago_s, v3_11=load) for ago_s in (2, 7.4, 13.8, 17)]
    prompt = [sample(ago_s, v3_11=load) for ago_s in (2, 7, 12, 17)]
    assert build_queues(KNOWN, [WORKER], late, NOW_MS) == build_queues(
        KNOWN, [WORKER], prompt, NOW_MS
    )
