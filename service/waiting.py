"""Waiting for a job to change, without polling: as long as a request may, and no longer."""

import time

from service.context import Service
from workers.ledger.jobs import Snapshot
from workers.model import TERMINAL_STATES

SLICE_S = 1.0
"""One blocking read lasts no longer, so that a stop, and a client that left, are seen."""


def look_ended(service: Service, job_id: str, wait_s: float) -> Snapshot | None:
    """The job once it is terminal, or as it is after `wait_s`; None when it is not there."""
    if wait_s > 0:
        _wait_for_end(service, job_id, wait_s)
    return service.jobs.look(job_id)


def _wait_for_end(service: Service, job_id: str, wait_s: float) -> None:
    deadline = time.monotonic() + wait_s
    found = service.jobs.glance(job_id)
    # Nothing but its last event tells the end of a job; a silent slice may mean that it is gone.
    while found is not None and found[0] not in TERMINAL_STATES:
        left = deadline - time.monotonic()
        if left <= 0 or service.stopping.is_set():
            return
        block_ms = int(min(left, slice_s(service)) * 1000)
        events = service.events.read(job_id, found[1], block_ms)
        if not events:
            found = service.jobs.glance(job_id)
        elif events[-1][1]["type"] == "end":
            return
        else:
            found = (found[0], events[-1][0])


def slice_s(service: Service) -> float:
    """How long one blocking read may last: well below the time-out of its socket."""
    return min(SLICE_S, service.settings.redis_timeout_s * 0.6)
