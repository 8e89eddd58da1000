"""One item after the other in the thread that runs the batch: the baseline of every comparison."""

from batchpool.backends.base import InProcess
from batchpool.backends.item_loop import run_until_stopped
from batchpool.backends.item_source import ItemSource


class Sequential(InProcess):
    """Runs items one by one, in their order."""

    def run(self, items: ItemSource) -> None:
        run_until_stopped(self.batch, self.work, self.slot(0), items.unwrapped())
