"""One item after the other in the thread that runs the batch: the baseline of every comparison."""

from collections.abc import Sequence

from batchpool.backends.base import InProcess
from batchpool.backends.item_loop import run_until_stopped


class Sequential(InProcess):
    """Runs items one by one, in their order."""

    def run(self, indices: Sequence[int]) -> None:
        run_until_stopped(self.batch, self.work, self.slot(0), indices)
