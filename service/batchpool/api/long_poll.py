"""Long polls: wait for the end of a job or comparison, up to a limit."""

import time
from typing import Protocol

from batchpool.api.context import ApiContext, client_is_gone
from batchpool.model import TERMINAL_STATES

BLOCK_S = 1.0
"""The longest blocking read, so that a stop, or a client that left, is noticed."""


class HasEnd(Protocol):
    """Jobs or comparisons: they have a state and an end to wait for."""

    def state(self, name: str, /) -> str | None: ...

    def has_ended(self, name: str, block_ms: int, /) -> bool: ...


def wait_for_end(
    context: ApiContext, name: str, wait_s: float, endings: HasEnd, *, is_new: bool = False
) -> None:
    """Return once it is terminal or deleted, after `wait_s`, or when the client has left.

    Args:
        name: the id of the job or comparison.
        is_new: it was stored a moment ago, so that its state need not be read before the wait.
    """
    deadline = time.monotonic() + wait_s
    is_gone = client_is_gone()
    # Only the end is signalled: after each read without one, look whether it was deleted.
    while is_new or endings.state(name) not in (None, *TERMINAL_STATES):
        is_new = False
        left = deadline - time.monotonic()
        if left <= 0 or context.stopping.is_set() or is_gone():
            return
        if endings.has_ended(name, int(min(left, block_s(context)) * 1000)):
            return


def block_s(context: ApiContext) -> float:
    """The longest blocking read: well below the time-out of the socket."""
    return min(BLOCK_S, context.settings.redis_timeout_s * 0.6)
