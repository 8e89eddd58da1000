"""The context that request handlers share: settings, ledger, limits of blocking threads."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from flask import current_app, request
from redis import Redis

from batchpool.api.bodies.large_bodies import LargeBodies
from batchpool.api.metrics import Metrics
from batchpool.api.serving.thread_limits import ThreadLimit, ThreadLimits
from batchpool.api.settings import ApiSettings
from batchpool.comparisons.readability import quarantine_of
from batchpool.jobs.fleet import FleetCache
from batchpool.jobs.timeline.cache import TimelineCache
from batchpool.ledger import keys
from batchpool.ledger.blocks.block_times import TimesReader
from batchpool.ledger.blocks.block_values import ValuesReader
from batchpool.ledger.broken import Broken
from batchpool.ledger.comparisons import Comparisons
from batchpool.ledger.events import Events
from batchpool.ledger.jobs import Jobs
from batchpool.ledger.ownership import LEASE_S
from batchpool.ledger.presence import Presence
from batchpool.ledger.quarantine import Quarantine
from batchpool.ledger.records import Records

EXTENSION = "batchpool"


@dataclass(frozen=True)
class ApiContext:
    """One API process.

    Args:
        redis: answers within `redis_timeout_s` or fails.
        slow_redis: the same Redis, with the time-out that storing a whole job may need.
    """

    settings: ApiSettings
    redis: Redis
    slow_redis: Redis
    jobs: Jobs
    jobs_writer: Jobs
    records: Records
    values: ValuesReader
    timelines: TimelineCache
    events: Events
    comparisons: Comparisons
    comparisons_writer: Comparisons
    comparison_events: Events
    presence: Presence
    broken: Broken
    quarantine: Quarantine
    fleets: FleetCache
    metrics: Metrics
    streams: ThreadLimit
    downloads: ThreadLimit
    waits: ThreadLimit
    large_bodies: LargeBodies | None
    stopping: threading.Event = field(default_factory=threading.Event)

    @classmethod
    def over(
        cls,
        settings: ApiSettings,
        redis: Redis,
        slow_redis: Redis,
        large_bodies: LargeBodies | None = None,
        limits: ThreadLimits | None = None,
    ) -> "ApiContext":
        presence = Presence(redis)
        limits = limits or ThreadLimits.of(settings)
        return cls(
            settings=settings,
            redis=redis,
            slow_redis=slow_redis,
            jobs=Jobs(redis),
            jobs_writer=Jobs(slow_redis),
            records=Records(redis),
            values=ValuesReader(redis),
            timelines=TimelineCache(TimesReader(redis)),
            events=Events(redis),
            comparisons=Comparisons(redis),
            comparisons_writer=Comparisons(slow_redis),
            comparison_events=Events(redis, keys.comparison_key),
            presence=presence,
            broken=Broken(redis),
            quarantine=quarantine_of(redis, LEASE_S),
            fleets=FleetCache(presence),
            metrics=Metrics(redis, settings.processes),
            streams=limits.streams,
            downloads=limits.downloads,
            waits=limits.waits,
            large_bodies=large_bodies,
        )


CLIENT_IS_GONE = "batchpool.client_is_gone"
"""In the WSGI environment: a function that says whether the client has closed its side."""


def client_is_gone() -> Callable[[], bool]:
    """A function that says whether the client of the current request has left, if that is known."""
    found: Callable[[], bool] = request.environ.get(CLIENT_IS_GONE, bool)
    return found


def service() -> ApiContext:
    """The context of the app that handles the current request."""
    found: ApiContext = current_app.extensions[EXTENSION]
    return found
