"""Long polls: wait for the end of a job or comparison, up to a limit."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from batchpool.api.context import ApiContext, client_is_gone
from batchpool.model import TERMINAL_STATES

BLOCK_S = 1.0
"""The longest blocking read, so that a stop, or a client that left, is noticed."""

T = TypeVar("T")


@dataclass(frozen=True)
class HasEnd(Generic[T]):
    """A job or comparison to be waited for.

    Args:
        state: reads its state, None if there is none.
        wait_ended: waits up to so many milliseconds for its end; None if it has not ended then.
    """

    state: Callable[[], str | None]
    wait_ended: Callable[[int], T | None]


def wait_for_end(
    context: ApiContext, awaited: HasEnd[T], wait_s: float, *, is_new: bool = False
) -> T | None:
    """What `wait_ended` found; None if it had ended before, was deleted, or goes on after `wait_s`,
    or the client has left.

    Args:
        is_new: it was stored a moment ago, so that its state need not be read before the wait.
    """
    deadline = time.monotonic() + wait_s
    is_gone = client_is_gone()
    # Only the end is signalled: after each read without one, look whether it was deleted.
    while is_new or awaited.state() not in (None, *TERMINAL_STATES):
        is_new = False
        left = deadline - time.monotonic()
        if left <= 0 or context.stopping.is_set() or is_gone():
            return None
        if found := awaited.wait_ended(int(min(left, block_s(context)) * 1000)):
            return found
    return None


def block_s(context: ApiContext) -> float:
    """The longest blocking read: well below the time-out of the socket."""
    return min(BLOCK_S, context.settings.redis_timeout_s * 0.6)
