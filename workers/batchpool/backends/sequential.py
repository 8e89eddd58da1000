"""One item after the other in the thread that runs the batch: the baseline of every comparison."""

from collections.abc import Sequence

from batchpool.backends.base import InProcess
from batchpool.execution.run_item import current_site, run_item


class Sequential(InProcess):
    """Runs items one by one, in their order."""

    def run(self, indices: Sequence[int]) -> None:
        batch, slot, site = self.batch, self.slot(0), current_site()
        for index in indices:
            if batch.stop_flag.closed:
                return
            batch.outcomes.add_one(run_item(self.work, site, slot, index, batch.item(index)))
