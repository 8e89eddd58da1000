"""What a comparison does when its class of workers is gone: after an upgrade, for instance."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from redis import Redis

from batchpool.jobs.planning import Requirements, can_run, live_by_class, rank_classes
from batchpool.ledger.announcements import LiveWorker, WorkerCapabilities
from batchpool.ledger.comparisons import ComparisonEntry
from batchpool.ledger.presence import Presence

LOOK_EVERY_S = 1.0
PATIENCE = 4
"""A comparison that has runs waits this many times longer: it is lost if its class is given up."""


@dataclass(frozen=True)
class ClassGone:
    """No worker of the comparison's class has been live for long enough, but others are.

    Args:
        successor: the live class that can run all arms; None if there is none.
    """

    successor: str | None


class ClassWatch:
    """Tells how long the class of the current comparison has had no live worker.

    Args:
        class_gone_s: after this time a comparison without runs goes to another class.
    """

    def __init__(
        self, redis: Redis, class_gone_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._presence = Presence(redis)
        self._class_gone_s = class_gone_s
        self._clock = clock
        self._gone: tuple[str, float] | None = None
        self._seen: tuple[str, str] | None = None
        self._next_look = 0.0
        self._found: ClassGone | None = None

    def look(self, entry: ComparisonEntry) -> ClassGone | None:
        """Whether the class is gone for good; None while it is there or may come back.

        Redis is asked once in a while; the answer holds until then.
        """
        now = self._clock()
        if self._seen != (entry.id, entry.class_id) or now >= self._next_look:
            self._seen = (entry.id, entry.class_id)
            self._next_look = now + LOOK_EVERY_S
            self._found = self._look(entry, now)
        return self._found

    def _look(self, entry: ComparisonEntry, now: float) -> ClassGone | None:
        workers = self._presence.workers()
        live = live_by_class(workers)
        # Without any worker nothing is known: all of them may be restarting.
        if not live or entry.class_id in live:
            self._gone = None
            return None
        if self._gone is None or self._gone[0] != entry.class_id:
            self._gone = (entry.class_id, now)
        patience = PATIENCE if has_begun(entry) else 1
        if now - self._gone[1] < patience * self._class_gone_s:
            return None
        return ClassGone(_successor(entry, self._presence.classes(), workers))


def has_begun(entry: ComparisonEntry) -> bool:
    """Whether a run was ever started: its code must not be mixed with other code."""
    return (entry.position, entry.attempt, entry.job_id) != (0, 1, None)


def _successor(
    entry: ComparisonEntry, classes: list[WorkerCapabilities], workers: list[LiveWorker]
) -> str | None:
    live = live_by_class(workers)
    arms = [*entry.spec["arms"], entry.spec["solo"]]
    needs = [
        Requirements(entry.spec["task"], arm["backend"], arm.get("start_method")) for arm in arms
    ]
    able = [
        known
        for known in classes
        if known.id in live and all(can_run(known, need) for need in needs)
    ]
    ranked = rank_classes(able, workers, needs[0])
    return ranked[0].id if ranked else None
