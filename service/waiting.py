"""Waiting for an end, without polling: as long as a request may, and no longer."""

import time
from collections.abc import Callable

from service.context import Service
from workers.ledger.events import Events
from workers.ledger.jobs import Snapshot
from workers.model import TERMINAL_STATES

SLICE_S = 1.0
"""One blocking read lasts no longer, so that a stop, and a client that left, are seen."""

Glance = Callable[[str], tuple[str, str] | None]
"""From an id to the state, and the id of an event not after it."""


def look_ended(service: Service, job_id: str, wait_s: float) -> Snapshot | None:
    """The job once it is terminal, or as it is after `wait_s`; None when it is not there."""
    if wait_s > 0:
        wait_for_end(service, job_id, wait_s, service.jobs.glance, service.events)
    return service.jobs.look(job_id)


def wait_for_end(
    service: Service, name: str, wait_s: float, glance: Glance, events: Events
) -> None:
    """Return when what has this id is terminal or gone, or after `wait_s`."""
    deadline = time.monotonic() + wait_s
    found = glance(name)
    # Nothing but the last event tells of the end; a silent slice may mean that it is gone.
    while found is not None and found[0] not in TERMINAL_STATES:
        left = deadline - time.monotonic()
        if left <= 0 or service.stopping.is_set():
            return
        block_ms = int(min(left, slice_s(service)) * 1000)
        told = events.read(name, found[1], block_ms)
        if not told:
            found = glance(name)
        elif told[-1][1]["type"] == "end":
            return
        else:
            found = (found[0], told[-1][0])


def slice_s(service: Service) -> float:
    """How long one blocking read may last: well below the time-out of its socket."""
    return min(SLICE_S, service.settings.redis_timeout_s * 0.6)
