"""Waiting for an end, without polling: as long as a request may, and no longer."""

import time
from typing import Protocol

from batchpool.api.context import ApiContext, client_is_gone
from batchpool.model import TERMINAL_STATES

SLICE_S = 1.0
"""One blocking read lasts no longer, so that a stop, and a client that left, are seen."""


class HasEnd(Protocol):
    """What ends and says so: jobs, or comparisons."""

    def state(self, name: str, /) -> str | None: ...

    def has_ended(self, name: str, block_ms: int, /) -> bool: ...


def wait_for_end(
    service: ApiContext, name: str, wait_s: float, endings: HasEnd, *, is_new: bool = False
) -> None:
    """Return when what has this id is terminal or gone, after `wait_s`, or without a client.

    Args:
        is_new: it was stored a moment ago; then it is not looked for before the wait.
    """
    deadline = time.monotonic() + wait_s
    is_gone = client_is_gone()
    # Nothing but the end is told; after a silent slice it may be gone.
    while is_new or endings.state(name) not in (None, *TERMINAL_STATES):
        is_new = False
        left = deadline - time.monotonic()
        if left <= 0 or service.stopping.is_set() or is_gone():
            return
        if endings.has_ended(name, int(min(left, slice_s(service)) * 1000)):
            return


def slice_s(service: ApiContext) -> float:
    """How long one blocking read may last: well below the time-out of its socket."""
    return min(SLICE_S, service.settings.redis_timeout_s * 0.6)
