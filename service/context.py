"""What every request handler shares: the settings, the ledger and the threads left to block."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from flask import current_app
from redis import Redis

from service.fleets import Fleets
from service.metrics import Metrics
from service.settings import Settings
from workers.ledger import keys
from workers.ledger.comparisons import Comparisons
from workers.ledger.events import Events
from workers.ledger.jobs import Jobs
from workers.ledger.presence import Presence
from workers.ledger.records import Records

EXTENSION = "batchpool"


class Slots:
    """Threads that may block at once; never more are taken than there are."""

    def __init__(self, count: int) -> None:
        self._free = threading.BoundedSemaphore(count) if count else None

    def take(self) -> bool:
        """Whether a slot was free; it is the caller's until `give_back`."""
        return self._free is not None and self._free.acquire(blocking=False)

    def give_back(self) -> None:
        if self._free is not None:
            self._free.release()

    @contextmanager
    def borrowed(self, wanted: bool = True) -> Iterator[bool]:
        """Take a slot, if one is wanted, for a `with`, and say whether there was one."""
        taken = wanted and self.take()
        try:
            yield taken
        finally:
            if taken:
                self.give_back()


@dataclass(frozen=True)
class Service:
    """One API process.

    Args:
        redis: answers within `redis_timeout_s` or fails.
        bulk: the same Redis, given the time that storing a whole job may take.
    """

    settings: Settings
    redis: Redis
    bulk: Redis
    jobs: Jobs
    submitting: Jobs
    records: Records
    events: Events
    comparisons: Comparisons
    comparing: Comparisons
    comparison_events: Events
    presence: Presence
    fleets: Fleets
    metrics: Metrics
    streams: Slots
    waits: Slots
    stopping: threading.Event = field(default_factory=threading.Event)

    @classmethod
    def over(cls, settings: Settings, redis: Redis, bulk: Redis) -> "Service":
        presence = Presence(redis)
        return cls(
            settings=settings,
            redis=redis,
            bulk=bulk,
            jobs=Jobs(redis),
            submitting=Jobs(bulk),
            records=Records(redis),
            events=Events(redis),
            comparisons=Comparisons(redis),
            comparing=Comparisons(bulk),
            comparison_events=Events(redis, keys.comparison_key),
            presence=presence,
            fleets=Fleets(presence),
            metrics=Metrics(redis),
            streams=Slots(settings.max_event_streams),
            waits=Slots(settings.max_waits),
        )


def service() -> Service:
    """The service of the app that handles the current request."""
    found: Service = current_app.extensions[EXTENSION]
    return found
