"""The load of each class of workers, as the batches that wait and the workers show it; pure."""

from collections import Counter
from collections.abc import Sequence

from batchpool.ledger.keys import base_class
from batchpool.ledger.recovery import Waiting
from batchpool.ledger.values.announcements import LiveWorker
from batchpool.ledger.values.load_samples import ClassLoad, LoadSample


def load_sample(
    now_ms: int, waiting: Sequence[Waiting], workers: Sequence[LiveWorker]
) -> LoadSample | None:
    """A sample; None where no batch waits or runs."""
    running = Counter(base_class(each.class_id) for each in workers if each.batch)
    queued = Counter(base_class(batch.queue) for batch in waiting)
    since_ms: dict[str, int] = {}
    for batch in waiting:
        class_id = base_class(batch.queue)
        since_ms[class_id] = min(since_ms.get(class_id, now_ms), batch.since_ms)
    loads = {
        class_id: ClassLoad(
            queued=queued[class_id],
            oldest_s=(now_ms - since_ms[class_id]) / 1000 if class_id in since_ms else None,
            running=running[class_id],
        )
        for class_id in sorted(queued | running)
    }
    return LoadSample(now_ms, loads) if loads else None
