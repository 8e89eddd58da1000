"""The load of classes, from the batches that wait and the workers that have one."""

from typing import Any

from batchpool.ledger.recovery import Waiting
from batchpool.ledger.values.announcements import LiveWorker
from batchpool.ledger.values.load_samples import ClassLoad, LoadSample
from batchpool.reconciler.class_load import load_sample


def worker(class_id: str, batch: str | None) -> LiveWorker:
    fields: dict[str, Any] = {"host": "h", "pid": 1, "python": "3.11", "gil": True, "cpus": 2.0}
    return LiveWorker(name="w", class_id=class_id, state="busy", batch=batch, **fields)


def test_a_sample_has_each_class_that_has_work() -> None:
    waiting = [
        Waiting("j", 0, "a", 9_000),
        Waiting("j", 1, "a", 4_000),
        Waiting("k", 0, "b", 9_500),
    ]
    workers = [worker("b", "k/1"), worker("b~cmp~0", "m/0"), worker("idle", None)]
    sample = load_sample(10_000, waiting, workers)
    assert sample == LoadSample(10_000, {"a": ClassLoad(2, 6.0, 0), "b": ClassLoad(1, 0.5, 2)})


def test_there_is_no_sample_of_nothing() -> None:
    assert load_sample(10_000, [], [worker("idle", None)]) is None
