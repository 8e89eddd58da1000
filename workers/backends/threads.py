"""One threading.Thread per task, as in the notebook."""

import threading
from collections.abc import Sequence
from queue import SimpleQueue

from workers.backends.base import InProcess
from workers.lanes import current_lane, run_one


class Threads(InProcess):
    """Starts a new thread for each item, with never more than `concurrency` of them alive."""

    def run(self, wave: Sequence[int]) -> None:
        free = list(range(self.batch.concurrency))
        ended: SimpleQueue[tuple[int, threading.Thread]] = SimpleQueue()
        try:
            for index in wave:
                if not free:
                    free.append(_reap(ended))
                if self.batch.gate.closed:
                    break
                self._start(index, free.pop(), ended)
        finally:
            while len(free) < self.batch.concurrency:
                free.append(_reap(ended))
        if self._broken is not None:
            raise self._broken

    _broken: BaseException | None = None

    def _start(
        self, index: int, lane: int, ended: "SimpleQueue[tuple[int, threading.Thread]]"
    ) -> None:
        item = self.batch.item(index)

        def run() -> None:
            try:
                outcome = run_one(self.work, current_lane(), self.slot(lane), index, item)
                self.batch.intake.take_one(outcome)
            except BaseException as exc:  # only the sink can raise here: a task's errors are data
                self._broken = exc
                self.batch.gate.close("broken")
            finally:
                ended.put((lane, threading.current_thread()))

        threading.Thread(target=run, name=f"item-{index}").start()


def _reap(ended: "SimpleQueue[tuple[int, threading.Thread]]") -> int:
    # Joined, not only heard of: a thread that said it was done is alive for a moment longer.
    lane, thread = ended.get()
    thread.join()
    return lane
