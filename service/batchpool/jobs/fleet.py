"""The workers that are there, asked for at most twice a second however many jobs come in."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from batchpool.ledger.announcements import LiveWorker, WorkerCapabilities
from batchpool.ledger.presence import Presence


@dataclass(frozen=True)
class Fleet:
    """The workers that are there, and the classes seen in the last days."""

    classes: Sequence[WorkerCapabilities]
    workers: Sequence[LiveWorker]


MAX_AGE_S = 0.5


class FleetCache:
    """What the workers of one Redis have announced."""

    def __init__(self, presence: Presence, clock: Callable[[], float] = time.monotonic) -> None:
        self._presence = presence
        self._clock = clock
        self._seen: tuple[float, Fleet] | None = None

    def cached(self) -> Fleet:
        """The fleet as it was at most `MAX_AGE_S` ago: enough to accept a job by."""
        seen = self._seen
        if seen and self._clock() - seen[0] < MAX_AGE_S:
            return seen[1]
        return self.fresh()

    def fresh(self) -> Fleet:
        """The fleet as it is: what a job is refused by."""
        asked = self._clock()
        fleet = Fleet(self._presence.classes(), self._presence.workers())
        self._seen = (asked, fleet)
        return fleet
