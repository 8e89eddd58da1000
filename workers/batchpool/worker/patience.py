"""How a worker waits for a Redis that is away."""

import contextlib
import time
from collections.abc import Callable
from typing import TypeVar

from batchpool.ledger.connection import UNREACHABLE
from batchpool.worker.batch_deadlines import CHECK_EVERY_S

CLAIM_TRIES = 3
"""How often a claim is asked for while Redis does not answer."""

STOP_RETRY_S = 2.0
"""How long a stopping worker tries to reach Redis to release its batch."""

AnswerT = TypeVar("AnswerT")


class BatchOver(Exception):
    """The batch is no longer ours to run, in a word why; the runner must not go on."""


def ask_some_times(step: Callable[[], AnswerT]) -> AnswerT:
    """Call `step`, again while Redis is unreachable, `CLAIM_TRIES` times at most."""
    for _ in range(CLAIM_TRIES - 1):
        with contextlib.suppress(*UNREACHABLE):
            return step()
        time.sleep(CHECK_EVERY_S)
    return step()


class Patience:
    """Calls a step, again while Redis is unreachable.

    A stopping worker does not wait for ever: its lease expires instead.

    Args:
        draining: whether the worker has been told to stop.
    """

    def __init__(self, draining: Callable[[], bool]) -> None:
        self._draining = draining

    def __call__(self, step: Callable[[], AnswerT]) -> AnswerT:
        """What `step` answers; the claim's token fences each attempt.

        Raises:
            BatchOver: the worker is told to stop, and Redis stays away.
        """
        patience_ends = None
        while True:
            try:
                return step()
            except UNREACHABLE:
                if self._draining():
                    now = time.monotonic()
                    patience_ends = patience_ends or now + STOP_RETRY_S
                    if now >= patience_ends:
                        raise BatchOver("disowned") from None
                time.sleep(CHECK_EVERY_S)
