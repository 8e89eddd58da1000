"""The driver: advances the oldest comparison step by step while this process is leader.

Each decision is written to the ledger before it is carried out, fenced by the token of the leader;
when a driver dies or loses the lead, another one continues from there.
"""

import logging
import secrets
import threading
import time
from collections.abc import Callable

from redis import Redis
from redis.exceptions import RedisError

from batchpool.comparisons.environment import describe_environment, with_usage
from batchpool.comparisons.execution import ComparisonExecution
from batchpool.comparisons.time_limit import TimeLimit
from batchpool.comparisons.worker_class import ClassGone, ClassWatch, has_begun
from batchpool.comparisons.worker_reservation import ReservedWorkers, WorkerReservations
from batchpool.ledger.comparisons import Change, Comparisons, ComparisonSnapshot
from batchpool.ledger.jobs import Jobs
from batchpool.ledger.values.comparison_entries import ComparisonEntry
from batchpool.model import TERMINAL_STATES, TaskError
from batchpool.settings import ReconcilerSettings

LOG = logging.getLogger("batchpool.comparisons")

IDLE_S = 1.0
WAIT_S = 0.1
NEXT_STEP_S = 0.002
LEASE_S = 5.0
ITEMS_PER_S = 10_000
"""Records that can be read per second, at least."""
RELEASE_S = 1.2
"""How long the end waits for a cancelled job, and for the workers to be released."""

WORKERS_GONE = (
    "the workers of its first runs are gone; the live ones have other code, and with both "
    "it would compare the code, not the arms"
)


class LeadLost(Exception):
    """Another process is leader now."""


class Driver:
    """Advances comparisons, one at a time; of several drivers only the leader does anything."""

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
        self._reservations = WorkerReservations(redis, clock)
        self._time_limit = TimeLimit(settings.comparison_max_s, clock)
        self._class_watch = ClassWatch(redis, settings.class_gone_s, clock)
        self._chance = secrets.token_hex(8)
        self._token = ""
        self._renew_at = 0.0
        self._execution: tuple[str, ComparisonExecution] | None = None
        self._releasing: tuple[str, float] | None = None

    def run_step(self) -> float:
        """Do the next step; returns how long to pause after it."""
        try:
            return self._run_step()
        except RedisError:
            if self._execution is not None:
                self._execution[1].note_outage()
            raise

    def _run_step(self) -> float:
        current = self._current()
        if current is None:
            self.give_up()
            return IDLE_S
        if not self._lead(LEASE_S):
            return IDLE_S
        try:
            return NEXT_STEP_S if self._advance(current) else WAIT_S
        except LeadLost:
            LOG.warning("another process is leader of comparisons now")
            self._token, self._execution = "", None
            return IDLE_S
        except RedisError:
            raise
        except Exception as error:
            # A single comparison that cannot be read must not block all others.
            LOG.exception("unhandled exception in comparison %s", current.entry.id)
            reason = f"{type(error).__name__}: {error}"
            self._end(current.entry, "failed", _error("internal", reason))
            return WAIT_S

    def give_up(self) -> None:
        """Let another process lead at once."""
        self._execution = None
        if self._token:
            self._comparisons.give_up_lead(self._token)
            self._token = ""

    def _current(self) -> ComparisonSnapshot | None:
        """The running comparison, else the oldest queued one."""
        if self._execution is not None:
            snapshot = self._comparisons.load(self._execution[0], whole=False)
            if snapshot is not None and snapshot.entry.state == "running":
                return snapshot
        open_ids = self._comparisons.open_ids()
        found = [each for each in self._comparisons.load_many(open_ids) if each is not None]
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
        """Renew the lead for this long: what follows takes long, or is not fenced."""
        if not self._lead(lease_s, renew=True):
            raise LeadLost

    def _step(self, entry: ComparisonEntry, change: Change) -> bool:
        answer = self._comparisons.step(entry, self._token, change)
        if answer == "stale":
            raise LeadLost
        return answer == "ok"

    def _advance(self, current: ComparisonSnapshot) -> bool:
        """Do one step of the comparison; False when there is nothing to do but wait."""
        entry, now_ms = current.entry, current.now_ms
        if entry.cancelled_ms is not None:
            return self._end(entry, "cancelled", None)
        if entry.state == "queued":
            LOG.info("comparison %s started", entry.id)
            return self._step(entry, Change(event=("comparison", "")))
        execution = self._execution_of(entry)
        # During a run nothing new is known, and its time would count twice.
        left_s = 0.0 if entry.job_id else execution.expected_s(entry) or 0.0
        if too_long := self._time_limit.why_exceeded(entry, now_ms, left_s):
            return self._end(entry, "failed", _error("too_long", too_long))
        if gone := self._class_watch.check(entry):
            return self._change_class(entry, gone)
        if entry.job_id is not None:
            return self._follow(execution, entry, now_ms)
        run = execution.next_run(entry)
        if run is None:
            return self._finish(execution, entry)
        reserved = self._reservations.fill(entry, now_ms)
        if not reserved.is_complete:
            execution.wait_for(entry, _missing(reserved))
            return False
        if entry.environment is None:
            environment = describe_environment(
                self._redis, entry.class_id, reserved, now_ms, self._settings.git_revision
            )
            return self._step(entry, Change(environment=environment))
        return execution.start_run(entry, run, reserved, self._token)

    def _execution_of(self, entry: ComparisonEntry) -> ComparisonExecution:
        if self._execution is None or self._execution[0] != entry.id:
            execution = ComparisonExecution(
                self._redis, entry, self._reservations, self._step, self._clock
            )
            self._execution = (entry.id, execution)
        return self._execution[1]

    def _follow(self, execution: ComparisonExecution, entry: ComparisonEntry, now_ms: int) -> bool:
        ended, job = execution.poll_run(entry, now_ms, self._token)
        if not ended:
            return False
        self._ensure_lead(LEASE_S + entry.spec.count / ITEMS_PER_S)
        if job is not None and entry.environment and entry.environment.load_1m is None:
            environment = with_usage(
                entry.environment, [batch.report.get("usage") for batch in job.batches]
            )
            self._step(entry, Change(environment=environment))
        execution.record_run(entry, job)
        return True

    def _change_class(self, entry: ComparisonEntry, gone: ClassGone) -> bool:
        """Move a comparison that has no runs yet to another class; end one that has."""
        if has_begun(entry):
            return self._end(entry, "failed", _error("workers_gone", WORKERS_GONE))
        if gone.successor is None:
            return False
        LOG.info(
            "comparison %s moves from class %s to %s", entry.id, entry.class_id, gone.successor
        )
        # First, under the old class: the messages to its workers are in its queue.
        self._reservations.clean_up(entry)
        spec = entry.spec.on_class(gone.successor)
        change = Change(class_id=gone.successor, spec=spec, drop=("environment",))
        return self._step(entry, change)

    def _finish(self, execution: ComparisonExecution, entry: ComparisonEntry) -> bool:
        if not self._workers_released(entry):
            return False
        self._ensure_lead(LEASE_S)
        whole = self._comparisons.load(entry.id)
        if whole is None:
            return False
        # A quarter of what a reconciler imports, and few have a comparison to end.
        from batchpool.comparisons.analysis.analyse import ComparisonData, analyse

        state, error = _outcome(whole.entry)
        change = Change(
            position=len(execution.plan),
            event=("end", ""),
            end=state,
            error=error,
            analysis=analyse(ComparisonData.of(whole.entry)).model_dump(),
        )
        self._reservations.clean_up(entry)
        return self._close(entry, change)

    def _end(self, entry: ComparisonEntry, state: str, error: TaskError | None) -> bool:
        """End it early, without an analysis."""
        if not self._workers_released(entry):
            return False
        self._ensure_lead(LEASE_S)
        self._reservations.clean_up(entry)
        return self._close(entry, Change(event=("end", ""), end=state, error=error))

    def _close(self, entry: ComparisonEntry, change: Change) -> bool:
        if self._step(entry, change):
            LOG.info("comparison %s %s", entry.id, change.end)
        self._execution = self._releasing = None
        return True

    def _workers_released(self, entry: ComparisonEntry) -> bool:
        """Whether its job has ended and its workers are released; requests both at first."""
        now = self._clock()
        if self._releasing is None or self._releasing[0] != entry.id:
            if entry.job_id is not None:
                self._jobs.cancel(entry.job_id)
            self._reservations.release_all(entry)
            self._releasing = (entry.id, now)
        if now - self._releasing[1] > RELEASE_S:
            # A lost worker never confirms; the others notice by themselves that it is over.
            return True
        head = self._jobs.load_headers([entry.job_id])[0] if entry.job_id else None
        has_ended = head is None or head.state in TERMINAL_STATES
        return has_ended and self._reservations.all_released(entry)


def _outcome(entry: ComparisonEntry) -> tuple[str, TaskError | None]:
    failed = entry.notes.failed
    if any(str(arm) not in failed for arm in range(len(entry.spec.arms))):
        return "succeeded", None
    return "failed", _error("no_arm_succeeded", next(iter(failed.values())))


def _missing(reserved: ReservedWorkers) -> str:
    noun = "an idle worker" if reserved.needed == 1 else f"{reserved.needed} idle workers"
    return f"{noun} ({len(reserved.holders)} of {reserved.needed} reserved)"


def _error(kind: str, message: str) -> TaskError:
    return TaskError(type=kind, message=message, traceback=None)


def drive_forever(driver: Driver, stop: threading.Event) -> None:
    """Run steps until `stop` is set, through outages of Redis."""
    while not stop.is_set():
        pause_s = IDLE_S
        try:
            pause_s = driver.run_step()
        except RedisError as error:
            # The reconciler's own passes report it at a level that is shown.
            LOG.debug("Redis is unreachable, retrying: %s", error)
        except Exception:
            LOG.exception("unhandled exception in a step of the comparison driver")
        stop.wait(pause_s)
    try:
        driver.give_up()
    except RedisError as error:
        LOG.debug("could not give up the lead: %s", error)
