"""The driver: takes the oldest comparison on, step by step, as long as it holds the lead.

Everything it decides stands in the ledger before it is done, under a token that each write is
checked against; a driver that dies, or loses its lead, is followed by one that goes on there.
"""

import logging
import secrets
import threading
import time
from collections.abc import Callable
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

from batchpool.comparisons.analysis.analyse import ComparisonData, analyse
from batchpool.comparisons.environment import describe_environment, with_usage
from batchpool.comparisons.execution import ComparisonExecution
from batchpool.comparisons.worker_class import ClassGone, ClassWatch, has_begun
from batchpool.comparisons.worker_reservation import ReservedWorkers, WorkerReservations
from batchpool.ledger.comparisons import Change, ComparisonEntry, Comparisons, ComparisonSnapshot
from batchpool.ledger.jobs import Jobs
from batchpool.model import TERMINAL_STATES, TaskError
from batchpool.settings import ReconcilerSettings

LOG = logging.getLogger("batchpool.comparisons")

IDLE_S = 1.0
WAIT_S = 0.1
GO_ON_S = 0.002
LEASE_S = 5.0
ITEMS_PER_S = 10_000
"""Records that are read in a second, at least."""
LEAVE_S = 1.2
"""How long an end waits for a job that was cancelled, or for workers to go home."""

WORKERS_GONE = (
    "the workers that ran its first runs are gone; those that are there run other code, and both "
    "in one comparison would compare the code"
)


class LeadLost(Exception):
    """Another process drives now."""


class Driver:
    """Drives comparisons, one at a time; two of these at once do no harm."""

    def __init__(
        self,
        redis: Redis,
        settings: ReconcilerSettings,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._redis = redis
        self._settings = settings
        self._clock = clock
        self._comparisons = Comparisons(redis)
        self._jobs = Jobs(redis)
        self._reserving = WorkerReservations(redis, clock)
        self._class_watch = ClassWatch(redis, settings.class_gone_s, clock)
        self._chance = secrets.token_hex(8)
        self._token = ""
        self._renew_at = 0.0
        self._course: tuple[str, ComparisonExecution] | None = None
        self._leaving: tuple[str, float] | None = None

    def run_step(self) -> float:
        """Do what is due; how long to pause then."""
        try:
            return self._run_step()
        except RedisError:
            if self._course is not None:
                # A run that is under way takes longer by what Redis was away.
                self._course[1].redis_was_away = True
            raise

    def _run_step(self) -> float:
        current = self._find()
        if current is None:
            self.give_up()
            return IDLE_S
        if not self._lead(LEASE_S):
            return IDLE_S
        try:
            return GO_ON_S if self._advance(current) else WAIT_S
        except LeadLost:
            LOG.warning("another process drives comparisons now")
            self._token, self._course = "", None
            return IDLE_S
        except RedisError:
            raise
        except Exception as error:
            # One comparison that cannot be read must not keep all others waiting.
            LOG.exception("unhandled exception in comparison %s", current.entry.id)
            reason = f"{type(error).__name__}: {error}"
            self._end(current.entry, "failed", _error("internal", reason))
            return WAIT_S

    def give_up(self) -> None:
        """Let another process lead at once."""
        self._course = None
        if self._token:
            self._comparisons.give_up_lead(self._token)
            self._token = ""

    def _find(self) -> ComparisonSnapshot | None:
        """The one that runs, else the one that waits longest."""
        if self._course is not None:
            seen = self._comparisons.load(self._course[0], whole=False)
            if seen is not None and seen.entry.state == "running":
                return seen
        open_ids = self._comparisons.open_ids()
        found = [each for each in self._comparisons.look_many(open_ids) if each is not None]
        running = [each for each in found if each.entry.state == "running"]
        return next(iter(running or found), None)

    def _lead(self, lease_s: float, renew: bool = False) -> bool:
        now = self._clock()
        # Not at each step: every renewal is a write that Redis syncs to its disk.
        if self._token and now < self._renew_at and not renew:
            return True
        self._token = self._comparisons.lead(self._token, self._chance, lease_s)
        self._renew_at = now + lease_s / 3
        return bool(self._token)

    def _ensure_lead(self, lease_s: float) -> None:
        """Make sure that the lead is ours for so long: what follows is not fenced, or long."""
        if not self._lead(lease_s, renew=True):
            raise LeadLost

    def _step(self, entry: ComparisonEntry, change: Change) -> bool:
        answer = self._comparisons.step(entry, self._token, change)
        if answer == "stale":
            raise LeadLost
        return answer == "ok"

    def _advance(self, current: ComparisonSnapshot) -> bool:
        """Take the comparison a step on; False when there is nothing to do but wait."""
        entry, now_ms = current.entry, current.now_ms
        if entry.cancelled_ms is not None:
            return self._end(entry, "cancelled", None)
        if entry.state == "queued":
            LOG.info("comparison %s begins", entry.id)
            return self._step(entry, Change(event=("comparison", "")))
        course = self._course_of(entry)
        if too_long := self._too_long(course, entry, now_ms):
            return self._end(entry, "failed", _error("too_long", too_long))
        if gone := self._class_watch.look(entry):
            return self._change_class(entry, gone)
        if entry.job_id is not None:
            return self._follow(course, entry, now_ms)
        run = course.next_run(entry)
        if run is None:
            return self._finish(course, entry)
        crew = self._reserving.fill(entry, now_ms)
        if not crew.is_complete:
            course.wait_for(entry, _missing(crew))
            return False
        if entry.environment is None:
            environment = describe_environment(
                self._redis, entry.class_id, crew, now_ms, self._settings.git_revision
            )
            return self._step(entry, Change({"environment": environment}))
        return course.start_run(entry, run, crew, self._token)

    def _course_of(self, entry: ComparisonEntry) -> ComparisonExecution:
        if self._course is None or self._course[0] != entry.id:
            course = ComparisonExecution(
                self._redis, entry, self._reserving, self._step, self._clock
            )
            self._course = (entry.id, course)
        return self._course[1]

    def _follow(self, course: ComparisonExecution, entry: ComparisonEntry, now_ms: int) -> bool:
        ended, job = course.poll_run(entry, now_ms, self._token)
        if not ended:
            return False
        self._ensure_lead(LEASE_S + entry.spec["count"] / ITEMS_PER_S)
        if job is not None and entry.environment and entry.environment["load_1m"] is None:
            environment = with_usage(
                entry.environment, [batch.report.get("usage") for batch in job.batches]
            )
            self._step(entry, Change({"environment": environment}))
        course.record_run(entry, job)
        return True

    def _too_long(
        self, course: ComparisonExecution, entry: ComparisonEntry, now_ms: int
    ) -> str | None:
        """Why the comparison cannot end within its limit; None while it may."""
        passed_s = (now_ms - (entry.started_ms or now_ms)) / 1000
        # While a run is under way nothing new is known, and it would count twice.
        left_s = 0.0 if entry.job_id else course.expected_s(entry) or 0.0
        most_s = self._settings.comparison_max_s
        if passed_s + left_s <= most_s:
            return None
        return (
            f"it would take about {passed_s + left_s:.0f} s; it can take at most {most_s:g} s "
            "(BATCHPOOL_COMPARISON_MAX_S)"
        )

    def _change_class(self, entry: ComparisonEntry, gone: ClassGone) -> bool:
        """Let a comparison without runs wait for another class; end one that has some."""
        if has_begun(entry):
            return self._end(entry, "failed", _error("workers_gone", WORKERS_GONE))
        if gone.successor is None:
            return False
        LOG.info("comparison %s goes from class %s to %s", entry.id, entry.class_id, gone.successor)
        # First, under the old class: the messages to its workers stand in its queue.
        self._reserving.clean_up(entry)
        return self._step(entry, Change({"class": gone.successor, "environment": None}))

    def _finish(self, course: ComparisonExecution, entry: ComparisonEntry) -> bool:
        if not self._workers_released(entry):
            return False
        self._ensure_lead(LEASE_S)
        whole = self._comparisons.load(entry.id)
        if whole is None:
            return False
        state, error = _outcome(whole.entry)
        change = Change(
            {"position": len(course.plan)},
            event=("end", ""),
            end=state,
            error=error,
            analysis=analyse_entry(whole.entry),
        )
        self._reserving.clean_up(entry)
        return self._close(entry, change)

    def _end(self, entry: ComparisonEntry, state: str, error: TaskError | None) -> bool:
        """End it before its time, without an analysis."""
        if not self._workers_released(entry):
            return False
        self._ensure_lead(LEASE_S)
        self._reserving.clean_up(entry)
        return self._close(entry, Change(event=("end", ""), end=state, error=error))

    def _close(self, entry: ComparisonEntry, change: Change) -> bool:
        if self._step(entry, change):
            LOG.info("comparison %s %s", entry.id, change.end)
        self._course = self._leaving = None
        return True

    def _workers_released(self, entry: ComparisonEntry) -> bool:
        """Whether its job has ended and its workers are home; told so at the first call."""
        now = self._clock()
        if self._leaving is None or self._leaving[0] != entry.id:
            if entry.job_id is not None:
                self._jobs.cancel(entry.job_id)
            self._reserving.release_all(entry)
            self._leaving = (entry.id, now)
        if now - self._leaving[1] > LEAVE_S:
            # A worker that is gone does not go home; the others see for themselves that it is over.
            return True
        head = self._jobs.load_headers([entry.job_id])[0] if entry.job_id else None
        return (head is None or head.state in TERMINAL_STATES) and self._reserving.all_released(
            entry
        )


def analyse_entry(entry: ComparisonEntry) -> dict[str, Any]:
    """What the samples of a comparison come to."""
    return analyse(ComparisonData(entry.spec, entry.samples, entry.environment or {}))


def _outcome(entry: ComparisonEntry) -> tuple[str, TaskError | None]:
    failed = entry.notes.get("failed", {})
    if any(str(arm) not in failed for arm in range(len(entry.spec["arms"]))):
        return "succeeded", None
    return "failed", _error("no_arm_succeeded", next(iter(failed.values())))


def _missing(crew: ReservedWorkers) -> str:
    noun = "an idle worker" if crew.needed == 1 else f"{crew.needed} idle workers"
    return f"{noun} ({len(crew.holders)} of {crew.needed} reserved)"


def _error(kind: str, message: str) -> TaskError:
    return TaskError(type=kind, message=message, traceback=None)


def drive_forever(driver: Driver, stop: threading.Event) -> None:
    """Drive until told to stop, through outages of Redis."""
    while not stop.is_set():
        pause_s = IDLE_S
        try:
            pause_s = driver.run_step()
        except RedisError as error:
            # The reconciler's own passes say so where people see it.
            LOG.debug("Redis is away, going on: %s", error)
        except Exception:
            LOG.exception("unhandled exception in a step of the comparison driver")
        stop.wait(pause_s)
    try:
        driver.give_up()
    except RedisError as error:
        LOG.debug("left without giving up the lead: %s", error)
