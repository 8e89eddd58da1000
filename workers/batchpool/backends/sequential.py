"""One item after the other in the thread that runs the batch: the baseline of every comparison."""

from collections.abc import Sequence

from batchpool.backends.base import InProcess
from batchpool.execution.run_item import current_site, run_item


class Sequential(InProcess):
    """Runs items one by one, in their order."""

    def run(self, wave: Sequence[int]) -> None:
        batch, slot, lane = self.batch, self.slot(0), current_site()
        for index in wave:
            if batch.stop_flag.closed:
                return
            batch.outcomes.add_one(run_item(self.work, lane, slot, index, batch.item(index)))
