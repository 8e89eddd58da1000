"""One comparison on its course: where it is stands in the ledger, what is kept here can be lost."""

from collections.abc import Callable, Mapping
from typing import Any

from redis import Redis
from redis.client import Pipeline

from batchpool.comparisons.analysis.run_facts import TaskRun, baseline_times, run_facts
from batchpool.comparisons.duration import expected_s
from batchpool.comparisons.planning import (
    BASELINE_ARM,
    MOST_ATTEMPTS,
    Run,
    arm_spec,
    due_runs,
    is_solo,
    plan_runs,
    run_job_id,
)
from batchpool.comparisons.run_measurement import (
    has_cold_pool,
    job_run,
    run_baseline,
    task_runs,
    why_disturbed,
    why_failed,
)
from batchpool.comparisons.worker_reservation import ReservedWorkers, WorkerReservations
from batchpool.jobs.planning import split_ranges
from batchpool.ledger import keys
from batchpool.ledger.comparisons import Change, ComparisonEntry, Comparisons
from batchpool.ledger.entries import JobEntry, NewJob
from batchpool.ledger.job_spec import ComparisonRun, ItemsSummary, JobSpec
from batchpool.ledger.jobs import Jobs
from batchpool.ledger.records import Records
from batchpool.model import TERMINAL_STATES
from batchpool.queue import rq_queue

QUEUE_TIMEOUT_S = 300.0
"""Of one run: its workers are reserved, so it waits only for one that was lost."""
BLOCK_MS = 400
MOMENT_S = 0.5
MOST_ALONE = 5
"""Runs one after the other that are kept to tell what a task does alone."""

Step = Callable[[ComparisonEntry, Change], bool]
"""Writes a change, fenced; False when it was refused, and nothing must be done on top of it."""


class ComparisonExecution:
    """Begins the runs of one comparison, waits for their ends and takes them down."""

    def __init__(
        self,
        redis: Redis,
        entry: ComparisonEntry,
        reserving: WorkerReservations,
        step: Step,
        clock: Callable[[], float],
    ) -> None:
        self._redis = redis
        self._clock = clock
        self._jobs = Jobs(redis)
        self._records = Records(redis)
        self._comparisons = Comparisons(redis)
        self._reserving = reserving
        self._step = step
        self._items = self._comparisons.items(entry.id)
        self._alone: list[list[TaskRun]] = []
        self._took: dict[int, list[float]] = {}
        self._seen: str | None = None
        self.redis_was_away = False
        self._waits: tuple[str, float] | None = None
        self.plan = plan_runs(entry.spec)
        self._restore(entry)

    def _restore(self, entry: ComparisonEntry) -> None:
        """What an earlier driver had in its memory, from the samples."""
        whole = self._comparisons.load(entry.id)
        for sample in whole.entry.samples if whole else ():
            self._keep_time(sample)
            is_alone = is_solo(arm_spec(entry.spec, sample["arm"])) or sample["kind"] == "solo"
            if is_alone and not (sample["disturbed"] or sample["error"]):
                job = self._jobs.load(sample["job_id"])
                self._keep_alone(list(task_runs(self._records.stream(job))) if job else [])

    def _keep_time(self, sample: Mapping[str, Any]) -> None:
        # A run that lost its worker took what the search for another one took.
        if not sample["disturbed"]:
            self._took.setdefault(sample["arm"], []).append(sample["took_s"])

    def _keep_alone(self, records: list[TaskRun]) -> None:
        self._alone = [*self._alone, records][-MOST_ALONE:]

    def next_run(self, entry: ComparisonEntry) -> Run | None:
        """The run that is due, None when none is left."""
        failed = {int(arm) for arm in entry.notes.get("failed", {})}
        due = due_runs(self.plan, entry.position, failed, entry.spec["reference"])
        return next(due, None)

    def start_run(
        self, entry: ComparisonEntry, run: Run, crew: ReservedWorkers, leader: str
    ) -> bool:
        """Start a run, unless strangers are at work on the reserved hosts: then False."""
        claims = self._reserving.count_claims(crew)
        # Counted first: who claims after this is seen in the count, who did before in his lease.
        strangers = self._comparisons.foreign_batches(None)
        busy = sorted(crew.hosts & strangers.keys())
        if busy:
            names = ", ".join(strangers[busy[0]][:3])
            self.wait_for(entry, f"batches of other jobs on host {busy[0]} to end: {names}")
            return False
        job_id = run_job_id(entry.id, run.number, entry.attempt)
        notes = entry.notes | {"waits_for": None, "before": run_baseline(claims, crew.holders)}
        change = Change(
            {"position": run.number, "job": job_id, "notes": notes}, event=("run", run.number)
        )
        self.redis_was_away = False
        if not self._step(entry, change):
            return False
        self._create(entry, run, job_id, leader)
        return True

    def wait_for(self, entry: ComparisonEntry, what: str) -> None:
        """Let people see what the comparison waits for, when it is for more than a moment."""
        now = self._clock()
        if self._waits is None or self._waits[0] != entry.place:
            self._waits = (entry.place, now)
        if now - self._waits[1] >= MOMENT_S and entry.notes.get("waits_for") != what:
            notes = entry.notes | {"waits_for": what}
            self._step(entry, Change({"notes": notes}, event=("comparison", "")))

    def _create(self, entry: ComparisonEntry, run: Run, job_id: str, leader: str) -> None:
        spec = run_spec(entry, run)
        queues = [
            keys.private_class(entry.class_id, entry.id, slot) for slot in range(spec.batches)
        ]
        new = NewJob(
            id=job_id,
            spec=spec,
            ranges=split_ranges(spec.count, spec.batches),
            items=self._items,
            queue=entry.class_id,
            queues=queues,
            timeout_s=spec.timeout_s,
            queue_timeout_s=QUEUE_TIMEOUT_S,
            result_ttl_s=entry.ttl_s,
            leader=leader,
        )

        def enqueue(pipe: Pipeline) -> None:
            for batch, queue in enumerate(queues):
                rq_queue.enqueue(self._redis, pipe, queue, [(job_id, batch)], QUEUE_TIMEOUT_S)

        self._jobs.create(new, enqueue)

    def poll_run(
        self, entry: ComparisonEntry, now_ms: int, leader: str
    ) -> tuple[bool, JobEntry | None]:
        """Wait for a moment for the end of the run under way.

        Returns: whether it has ended, and its job then; None for a job that was deleted.
        """
        job_id = str(entry.job_id)
        seen = self._jobs.load_snapshot(job_id)
        if seen is None:
            if self._seen == job_id:
                return True, None
            # Decided on, but whoever did so died before the job was made.
            self._create(entry, self.plan[entry.position], job_id, leader)
            return False, None
        self._seen = job_id
        if seen.job.state not in TERMINAL_STATES:
            self._look_after(entry, seen.job, now_ms)
            self._jobs.has_ended(job_id, BLOCK_MS)
            seen = self._jobs.load_snapshot(job_id)
        if seen is None:
            return True, None
        ended = seen.job.state in TERMINAL_STATES
        return ended, seen.job if ended else None

    def _look_after(self, entry: ComparisonEntry, job: JobEntry, now_ms: int) -> None:
        """Find other workers for batches whose worker is gone."""
        crew = self._reserving.fill(entry, now_ms)
        for batch in job.batches:
            holder = crew.holders.get(batch.index)
            if batch.state == "queued" and batch.lost and holder is not None:
                # Its announcement lives on for some seconds, but it has lost its lease.
                if batch.epochs[-1]["worker"] == holder["worker"]:
                    self._reserving.request(entry, batch.index)

    def record_run(self, entry: ComparisonEntry, job: JobEntry | None) -> None:
        """Take down a run that has ended."""
        run = self.plan[entry.position]
        before = entry.notes["before"]
        disturbed = why_disturbed(job, before, self._reserving.claims())
        if self.redis_was_away:
            disturbed = disturbed or "Redis did not answer in between"
        # Once: a task that leaves its runner unfit never finds a warm pool, which the guard tells.
        is_first = run.kind == "sample" and entry.attempt == 1
        if job and not disturbed and is_first and has_cold_pool(job):
            disturbed = "its warm pool was not there and had to be made"
        failed = job is not None and job.state != "succeeded" and not disturbed
        error = why_failed(job) if job is not None and failed else None
        sample = {
            "run": run.number,
            "kind": run.kind,
            "arm": run.arm,
            "round": run.round if run.kind == "sample" else None,
            "attempt": entry.attempt,
            "job_id": entry.job_id,
            "disturbed": disturbed,
            "facts": self._facts(entry, run, job, before, bool(disturbed or error)),
            "error": error,
            "took_s": _took_s(job),
        }
        self._keep_time(sample)
        change = Change(
            {**_next_place(entry, disturbed), "job": None, "notes": _next_notes(entry, sample)},
            sample=sample,
            event=("run", run.number),
        )
        self._step(entry, change)

    def _facts(
        self,
        entry: ComparisonEntry,
        run: Run,
        job: JobEntry | None,
        before: Mapping[str, Any],
        spoilt: bool,
    ) -> dict[str, Any] | None:
        if job is None or job.finished_ms is None:
            return None
        records = list(task_runs(self._records.stream(job)))
        is_alone = run.arm == BASELINE_ARM or is_solo(arm_spec(entry.spec, run.arm))
        if is_alone and not spoilt:
            self._keep_alone(records)
        alone = baseline_times(*self._alone) if self._alone else None
        return run_facts(job_run(job, before), records, alone)

    def expected_s(self, entry: ComparisonEntry) -> float | None:
        """How long the runs that are left will take; None while nothing is known of an arm."""
        failed = {int(arm) for arm in entry.notes.get("failed", {})}
        due = list(due_runs(self.plan, entry.position, failed, entry.spec["reference"]))
        return expected_s(due, self._took, entry.spec["reference"])


def _took_s(job: JobEntry | None) -> float:
    if job is None or job.finished_ms is None:
        return 0.0
    return (job.finished_ms - job.submitted_ms) / 1000


def _next_place(entry: ComparisonEntry, disturbed: str | None) -> dict[str, Any]:
    if disturbed and entry.attempt < MOST_ATTEMPTS:
        return {"attempt": entry.attempt + 1}
    return {"position": entry.position + 1, "attempt": 1}


def _next_notes(entry: ComparisonEntry, sample: Mapping[str, Any]) -> dict[str, Any]:
    notes = {name: value for name, value in entry.notes.items() if name != "before"}
    if sample["disturbed"]:
        notes["disturbed"] = notes.get("disturbed", 0) + 1
    if sample["error"] and sample["arm"] != BASELINE_ARM:
        notes["failed"] = notes.get("failed", {}) | {str(sample["arm"]): sample["error"]}
    return notes


def run_spec(entry: ComparisonEntry, run: Run) -> JobSpec:
    """The complete spec of the job of a run."""
    spec = entry.spec
    arm = {name: value for name, value in arm_spec(spec, run.arm).items() if name != "name"}
    return JobSpec(
        task=spec["task"],
        params=spec["params"],
        count=spec["count"],
        items=ItemsSummary.from_json(spec["items"]),
        timeout_s=spec["timeout_s"],
        queue_timeout_s=QUEUE_TIMEOUT_S,
        labels=spec["labels"],
        measure=True,
        comparison=ComparisonRun(entry.id, run.arm, run.round, run.kind),
        **arm,
    )
