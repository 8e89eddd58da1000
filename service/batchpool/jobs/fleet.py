"""The fleet: live workers and known classes, read at most twice a second for admission."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from batchpool.ledger.presence import Presence
from batchpool.ledger.values.announcements import LiveWorker, WorkerCapabilities
from batchpool.schemas.refusals import Refusal


@dataclass(frozen=True)
class Fleet:
    """The live workers, and the classes of workers seen in the last days."""

    classes: Sequence[WorkerCapabilities]
    workers: Sequence[LiveWorker]


MAX_AGE_S = 0.5


T = TypeVar("T")


class FleetCache:
    """A cached view of what the workers of one Redis have announced."""

    def __init__(self, presence: Presence, clock: Callable[[], float] = time.monotonic) -> None:
        self._presence = presence
        self._clock = clock
        self._seen: tuple[float, Fleet] | None = None

    def cached(self) -> Fleet:
        """The fleet as of at most `MAX_AGE_S` ago, which is enough to accept a job."""
        seen = self._seen
        if seen and self._clock() - seen[0] < MAX_AGE_S:
            return seen[1]
        return self.fresh()

    def fresh(self) -> Fleet:
        """The fleet as of now; needed to refuse a job."""
        asked = self._clock()
        fleet = Fleet(self._presence.classes(), self._presence.workers())
        self._seen = (asked, fleet)
        return fleet


def admit_with_fresh_fleet(fleets: FleetCache, admit: Callable[[Fleet], T]) -> T:
    """Admit by the cached fleet, but refuse only by a fresh one: a worker may have just started.

    Raises:
        Refusal: what `admit` raises for a fresh fleet.
    """
    try:
        return admit(fleets.cached())
    except Refusal:
        return admit(fleets.fresh())
