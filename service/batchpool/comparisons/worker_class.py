"""Decide what becomes of a comparison whose class of workers is gone, after an upgrade say."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from redis import Redis

from batchpool.jobs.planning import Requirements, can_run, live_by_class, rank_classes
from batchpool.ledger.presence import Presence
from batchpool.ledger.values.announcements import LiveWorker, WorkerCapabilities
from batchpool.ledger.values.comparison_entries import ComparisonEntry, ComparisonSpec

CHECK_EVERY_S = 1.0
BEGUN_FACTOR = 4
"""A comparison that has runs waits this many times longer, since it fails without its class."""


@dataclass(frozen=True)
class ClassGone:
    """No worker of the comparison's class has been live for long enough, but others are.

    Args:
        successor: the live class that can run all arms; None if there is none.
    """

    successor: str | None


class ClassWatch:
    """Measures for how long the class of the current comparison has had no live worker.

    Args:
        class_gone_s: after this time a comparison without runs goes to another class.
    """

    def __init__(
        self, redis: Redis, class_gone_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._presence = Presence(redis)
        self._class_gone_s = class_gone_s
        self._clock = clock
        self._gone_since: tuple[str, float] | None = None
        self._checked: tuple[str, str] | None = None
        self._next_check = 0.0
        self._result: ClassGone | None = None

    def check(self, entry: ComparisonEntry) -> ClassGone | None:
        """Whether the class is gone for good; None while it is live or may come back.

        Redis is asked once per `CHECK_EVERY_S`; the answer holds until then.
        """
        now = self._clock()
        if self._checked != (entry.id, entry.class_id) or now >= self._next_check:
            self._checked = (entry.id, entry.class_id)
            self._next_check = now + CHECK_EVERY_S
            self._result = self._check_now(entry, now)
        return self._result

    def _check_now(self, entry: ComparisonEntry, now: float) -> ClassGone | None:
        workers = self._presence.workers()
        live = live_by_class(workers)
        # Without any worker nothing is known: all of them may be restarting.
        if not live or entry.class_id in live:
            self._gone_since = None
            return None
        if self._gone_since is None or self._gone_since[0] != entry.class_id:
            self._gone_since = (entry.class_id, now)
        factor = BEGUN_FACTOR if has_begun(entry) else 1
        if now - self._gone_since[1] < factor * self._class_gone_s:
            return None
        classes = [known for known in self._presence.classes() if known.id in live]
        return ClassGone(_successor(entry.spec, classes, workers))


def has_begun(entry: ComparisonEntry) -> bool:
    """Whether a run was ever started: its results must not be mixed with those of other code."""
    return (entry.position, entry.attempt, entry.job_id) != (0, 1, None)


def _successor(
    spec: ComparisonSpec, classes: list[WorkerCapabilities], workers: list[LiveWorker]
) -> str | None:
    needs = [
        Requirements(spec.task, arm.backend, arm.start_method)
        for arm in (*spec.arms, spec.baseline)
    ]
    able = [known for known in classes if all(can_run(known, need) for need in needs)]
    ranked = rank_classes(able, workers, needs[0])
    return ranked[0].id if ranked else None
