"""One item after the other in the thread that runs the batch: the baseline of every comparison."""

from collections.abc import Sequence

from workers.backends.base import InProcess
from workers.lanes import current_lane, run_one


class Sequential(InProcess):
    """Runs items one by one, in their order."""

    def run(self, wave: Sequence[int]) -> None:
        batch, slot, lane = self.batch, self.slot(0), current_lane()
        for index in wave:
            if batch.gate.closed:
                return
            batch.intake.take_one(run_one(self.work, lane, slot, index, batch.item(index)))
