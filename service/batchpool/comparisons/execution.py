"""Execute one comparison: start a run, poll it, record its sample.

The position of the comparison is in the ledger; everything kept here can be rebuilt.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from redis import Redis

from batchpool.comparisons.analysis.run_facts import TaskRun, baseline_times, run_facts
from batchpool.comparisons.duration import expected_s
from batchpool.comparisons.planning import (
    BASELINE_ARM,
    MOST_ATTEMPTS,
    QUEUE_TIMEOUT_S,
    Run,
    arm_spec,
    due_runs,
    is_baseline,
    job_spec,
    plan_runs,
    run_job_id,
)
from batchpool.comparisons.run_measurement import (
    has_cold_pool,
    job_run,
    run_start,
    task_runs,
    why_disturbed,
    why_failed,
)
from batchpool.comparisons.worker_reservation import ReservedWorkers, WorkerReservations
from batchpool.jobs.planning import split_ranges
from batchpool.ledger import keys
from batchpool.ledger.comparisons import Change, Comparisons
from batchpool.ledger.jobs import Jobs
from batchpool.ledger.records import Records
from batchpool.ledger.values.comparison_entries import (
    ComparisonEntry,
    ExecutionNotes,
    RunStart,
    Sample,
)
from batchpool.ledger.values.job_entries import JobEntry, NewJob
from batchpool.model import TERMINAL_STATES
from batchpool.queue import rq_queue

BLOCK_MS = 400
WAIT_SHOWN_AFTER_S = 0.5
MOST_BASELINES = 5
"""Sequential runs that are kept to find the time that a task takes alone."""

Step = Callable[[ComparisonEntry, Change], bool]
"""Writes a change, fenced; False if it was refused: then nothing may be based on it."""


@dataclass(frozen=True)
class RunState:
    """What this process knows of the run under way: at first, and after a restart, nothing.

    Args:
        job_exists: its job was read once, so a job that is missing now was deleted.
        redis_was_away: the run may have taken longer for that.
    """

    job_id: str | None = None
    job_exists: bool = False
    redis_was_away: bool = False


class ComparisonExecution:
    """Starts the runs of one comparison, waits for their ends and records them."""

    def __init__(
        self,
        redis: Redis,
        entry: ComparisonEntry,
        reservations: WorkerReservations,
        step: Step,
        clock: Callable[[], float],
    ) -> None:
        self._redis = redis
        self._clock = clock
        self._jobs = Jobs(redis)
        self._records = Records(redis)
        self._comparisons = Comparisons(redis)
        self._reservations = reservations
        self._step = step
        self._items = self._comparisons.items(entry.id)
        self._baselines: list[list[TaskRun]] = []
        self._took_s: dict[int, list[float]] = {}
        self._run = RunState()
        self._waits_since: tuple[str, float] | None = None
        self.plan = plan_runs(entry.spec)
        self._restore(entry)

    def _restore(self, entry: ComparisonEntry) -> None:
        """Load from the samples what an earlier driver had in memory."""
        whole = self._comparisons.load(entry.id)
        for sample in whole.entry.samples if whole else ():
            self._keep_time(sample)
            if self._is_baseline(entry, sample.arm) and not (sample.disturbed or sample.error):
                job = self._jobs.load(sample.job_id)
                self._keep_baseline(list(task_runs(self._records.stream(job))) if job else [])

    def _is_baseline(self, entry: ComparisonEntry, arm: int) -> bool:
        return arm == BASELINE_ARM or is_baseline(arm_spec(entry.spec, arm))

    def _keep_time(self, sample: Sample) -> None:
        # A run that lost its worker took as long as the search for another one.
        if not sample.disturbed:
            self._took_s.setdefault(sample.arm, []).append(sample.took_s)

    def _keep_baseline(self, records: list[TaskRun]) -> None:
        self._baselines = [*self._baselines, records][-MOST_BASELINES:]

    def note_outage(self) -> None:
        """Mark the run under way as disturbed by an outage of Redis."""
        self._run = replace(self._run, redis_was_away=True)

    def next_run(self, entry: ComparisonEntry) -> Run | None:
        """The run that is due, None when none is left."""
        return next(self._due_runs(entry), None)

    def expected_s(self, entry: ComparisonEntry) -> float | None:
        """A forecast for the remaining runs; None while an arm has no run yet."""
        return expected_s(list(self._due_runs(entry)), self._took_s, entry.spec.reference)

    def _due_runs(self, entry: ComparisonEntry) -> Iterator[Run]:
        failed = {int(arm) for arm in entry.notes.failed}
        return due_runs(self.plan, entry.position, failed, entry.spec.reference)

    def start_run(
        self, entry: ComparisonEntry, run: Run, reserved: ReservedWorkers, leader: str
    ) -> bool:
        """Start a run; False if batches of other jobs run on the reserved hosts."""
        claims = self._reservations.count_claims(reserved)
        # Counted first: a batch that is claimed after this is counted, one before has a lease.
        running = self._comparisons.running_batches()
        busy = sorted(reserved.hosts & running.keys())
        if busy:
            names = ", ".join(running[busy[0]][:3])
            self.wait_for(entry, f"batches of other jobs on host {busy[0]} to end: {names}")
            return False
        job_id = run_job_id(entry.id, run.number, entry.attempt)
        notes = replace(entry.notes, waits_for=None, before=run_start(claims, reserved.holders))
        change = Change(position=run.number, job_id=job_id, notes=notes, event=("run", run.number))
        self._run = RunState(job_id)
        if not self._step(entry, change):
            return False
        self._create(entry, run, job_id, leader)
        return True

    def wait_for(self, entry: ComparisonEntry, what: str) -> None:
        """Show what the comparison waits for, once it has waited for more than a moment."""
        now = self._clock()
        if self._waits_since is None or self._waits_since[0] != entry.place:
            self._waits_since = (entry.place, now)
        if now - self._waits_since[1] >= WAIT_SHOWN_AFTER_S and entry.notes.waits_for != what:
            notes = replace(entry.notes, waits_for=what)
            self._step(entry, Change(notes=notes, event=("comparison", "")))

    def _create(self, entry: ComparisonEntry, run: Run, job_id: str, leader: str) -> None:
        spec = job_spec(entry.id, entry.spec, run)
        class_id = arm_spec(entry.spec, run.arm).class_id or entry.class_id
        queues = [keys.private_class(class_id, entry.id, slot) for slot in range(spec.batches)]
        new = NewJob(
            id=job_id,
            spec=spec,
            ranges=split_ranges(spec.count, spec.batches),
            items=self._items,
            queue=class_id,
            queues=queues,
            timeout_s=spec.timeout_s,
            queue_timeout_s=QUEUE_TIMEOUT_S,
            result_ttl_s=entry.ttl_s,
            leader=leader,
        )

        queueing = [
            command
            for batch, queue in enumerate(queues)
            for command in rq_queue.enqueue_commands(queue, [(job_id, batch)])
        ]
        self._jobs.create(new, queueing)

    def poll_run(
        self, entry: ComparisonEntry, now_ms: int, leader: str
    ) -> tuple[bool, JobEntry | None]:
        """Wait up to `BLOCK_MS` for the end of the run under way.

        Returns: whether it has ended, and its job then; None for a job that was deleted.
        """
        job_id = str(entry.job_id)
        if self._run.job_id != job_id:
            self._run = replace(self._run, job_id=job_id, job_exists=False)
        snapshot = self._jobs.load_snapshot(job_id)
        if snapshot is None:
            if self._run.job_exists:
                return True, None
            # Decided on by a driver that died before it created the job.
            self._create(entry, self.plan[entry.position], job_id, leader)
            return False, None
        self._run = replace(self._run, job_exists=True)
        if snapshot.job.state not in TERMINAL_STATES:
            self._replace_lost_workers(entry, snapshot.job, now_ms)
            snapshot = self._jobs.wait_ended(job_id, BLOCK_MS) or self._jobs.load_snapshot(job_id)
        if snapshot is None:
            return True, None
        ended = snapshot.job.state in TERMINAL_STATES
        return ended, snapshot.job if ended else None

    def _replace_lost_workers(self, entry: ComparisonEntry, job: JobEntry, now_ms: int) -> None:
        reserved = self._reservations.fill(entry, now_ms)
        for batch in job.batches:
            holder = reserved.holders.get(batch.index)
            if batch.state == "queued" and batch.lost and holder is not None:
                # It is announced as live for some seconds more, but it has lost its lease.
                if batch.epochs[-1]["worker"] == holder["worker"]:
                    self._reservations.request(entry, batch.index)

    def record_run(self, entry: ComparisonEntry, job: JobEntry | None) -> None:
        """Write the sample of a run that has ended, and go to the next one."""
        run = self.plan[entry.position]
        before = entry.notes.before or RunStart({}, {})
        records = list(task_runs(self._records.stream(job))) if job is not None else []
        disturbed = self._why_disturbed(entry, run, job, before)
        if job is not None and job.state == "succeeded" and len(records) < job.spec.count:
            disturbed = disturbed or "records of it cannot be read"
        failed = job is not None and job.state != "succeeded" and not disturbed
        error = why_failed(job) if job is not None and failed else None
        facts = None
        if job is not None and job.finished_ms is not None:
            if not (disturbed or error) and self._is_baseline(entry, run.arm):
                self._keep_baseline(records)
            alone = baseline_times(*self._baselines) if self._baselines else None
            facts = run_facts(job_run(job, before), records, alone)
        sample = Sample(
            run=run.number,
            kind=run.kind,
            arm=run.arm,
            round=run.round if run.kind == "sample" else None,
            attempt=entry.attempt,
            job_id=str(entry.job_id),
            disturbed=disturbed,
            facts=facts,
            error=error,
            took_s=_took_s(job),
        )
        self._keep_time(sample)
        self._step(entry, _record(entry, sample))

    def _why_disturbed(
        self, entry: ComparisonEntry, run: Run, job: JobEntry | None, before: RunStart
    ) -> str | None:
        if reason := why_disturbed(job, before, self._reservations.claims()):
            return reason
        if self._run.redis_was_away:
            return "Redis did not answer during the run"
        # Once: after a task that makes its runner unfit no pool is warm, which a check reports.
        is_first = run.kind == "sample" and entry.attempt == 1
        if job and is_first and has_cold_pool(job):
            return "its warm pool was missing and had to be created"
        return None


def _took_s(job: JobEntry | None) -> float:
    if job is None or job.finished_ms is None:
        return 0.0
    return (job.finished_ms - job.submitted_ms) / 1000


def _record(entry: ComparisonEntry, sample: Sample) -> Change:
    """The step that adds a sample; a disturbed run is repeated, unless it was the last attempt."""
    is_repeated = sample.disturbed is not None and entry.attempt < MOST_ATTEMPTS
    return Change(
        position=entry.position if is_repeated else entry.position + 1,
        attempt=entry.attempt + 1 if is_repeated else 1,
        notes=_next_notes(entry.notes, sample),
        drop=("job",),
        sample=sample,
        event=("run", sample.run),
    )


def _next_notes(notes: ExecutionNotes, sample: Sample) -> ExecutionNotes:
    failed = notes.failed
    if sample.error and sample.arm != BASELINE_ARM:
        failed = failed | {str(sample.arm): sample.error}
    disturbed = notes.disturbed + (sample.disturbed is not None)
    return replace(notes, before=None, failed=failed, disturbed=disturbed)
