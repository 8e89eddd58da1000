"""The overview: how things are and what to do next, in one sentence; then the parts; pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from batchpool.charts import numbers
from batchpool.charts.share_bar import draw_utilisation
from batchpool.ledger.values.announcements import LiveWorker
from batchpool.pages.jobs.lines import JobLine, OpenJob, job_line, open_job, seconds_left
from batchpool.pages.jobs.progress import unsuccessful
from batchpool.pages.queue_load import QueueLine
from batchpool.pages.text import about, in_words, sentence, whole_seconds
from batchpool.schemas.comparison_responses import ComparisonSummary
from batchpool.schemas.job_responses import Job, JobSummary


@dataclass(frozen=True)
class WorkerLine:
    """A worker: what it runs, and how much of its CPUs it uses for that.

    Args:
        about: its memory, and the processes that it keeps for the next batch.
        job: the job that it runs a batch of, and the number of that batch; None while idle.
        use: what it uses of its CPUs, in words, and `bar` as SVG; empty while nothing is measured.
    """

    name: str
    about: tuple[str, ...]
    state: str
    word: str
    job: tuple[str, int] | None
    use: str
    bar: str


@dataclass(frozen=True)
class ComparisonLine:
    """A comparison: what it compares, and its conclusion or where it is."""

    id: str
    title: str
    state: str
    word: str
    when: str
    text: str


@dataclass(frozen=True)
class Facts:
    """What the overview is made of.

    Args:
        open_jobs: those that have not ended and are shown; `running` and `queued` count all.
        faults: why new jobs are not accepted; empty if they are.
        runs_left_out: runs of comparisons between the recent jobs, which are no jobs of people.
        cpu_s: by worker, the CPU seconds and the seconds of what it runs.
    """

    workers: Sequence[LiveWorker]
    open_jobs: Sequence[Job]
    running: int
    queued: int
    kept: int
    recent: Sequence[JobSummary]
    comparisons: Sequence[tuple[ComparisonSummary, Sequence[str]]]
    faults: Sequence[str] = ()
    runs_left_out: int = 0
    cpu_s: Mapping[str, tuple[float, float]] | None = None
    queues: Sequence[QueueLine] = ()


@dataclass(frozen=True)
class Overview:
    """What the overview shows."""

    headline: str
    lead: tuple[str, str, str]
    faults: tuple[str, ...]
    open_jobs: tuple[OpenJob, ...]
    open_total: int
    recent: tuple[JobLine, ...]
    kept: int
    recent_note: str
    workers: tuple[WorkerLine, ...]
    workers_note: str
    queues: tuple[QueueLine, ...]
    comparisons: tuple[ComparisonLine, ...]
    needs_worker: bool


def build_overview(facts: Facts) -> Overview:
    """The overview of these facts."""
    return Overview(
        headline=headline(facts),
        lead=lead(facts),
        faults=tuple(map(sentence, facts.faults)),
        open_jobs=tuple(open_job(job, lost_workers(job)) for job in facts.open_jobs),
        open_total=max(facts.running + facts.queued, len(facts.open_jobs)),
        recent=tuple(map(job_line, facts.recent)),
        kept=facts.kept,
        recent_note=_recent_note(facts.runs_left_out),
        workers=tuple(_worker_line(worker, facts) for worker in facts.workers),
        workers_note=_workers_note(facts.workers),
        queues=tuple(facts.queues),
        comparisons=tuple(_comparison_line(*each) for each in facts.comparisons),
        needs_worker=not facts.workers,
    )


def headline(facts: Facts) -> str:
    """How things are, in a sentence or two."""
    if not facts.workers:
        return "No worker is here."
    if not facts.running and not facts.queued:
        return "Nothing is running."
    parked = sum(is_parked(job) for job in facts.open_jobs)
    waiting = max(0, facts.queued - parked)
    parts = [_count(facts.running, "job is running", "jobs are running")]
    if waiting:
        noun = ("waits", "wait") if facts.running else ("job waits", "jobs wait")
        parts.append(_count(waiting, *noun))
    found = " and ".join(part for part in parts if part)
    if not parked:
        return f"{sentence(found)} Nothing is stuck."
    stuck = sentence(_count(parked, "job is parked", "jobs are parked"))
    return f"{sentence(found)} {stuck}".strip()


def lead(facts: Facts) -> tuple[str, str, str]:
    """What to know or do next: words, and the id and task of the job that they begin with."""
    if not facts.workers:
        if not facts.queued:
            return "", "", "Jobs that you send wait until one starts."
        waits = _count(facts.queued, "job waits", "jobs wait").capitalize()
        oldest = max((job.timing.queue_s or 0 for job in facts.open_jobs), default=0)
        return "", "", f"{waits}, the oldest for {whole_seconds(oldest)}. Start one:"
    running = [job for job in facts.open_jobs if job.state == "running"]
    if running:
        job = max(running, key=lambda each: seconds_left(each) or 0)
        return job.id, job.spec.task, _lead_of(job)
    if facts.queued:
        texts = (job.waiting_for.text for job in facts.open_jobs if job.waiting_for)
        return "", "", next(texts, "")
    free = _count(len(facts.workers), "worker is", "workers are").capitalize()
    return "", "", f"{free} free. Send a job with the form, or from a terminal."


def _lead_of(job: Job) -> str:
    left_s, failed = seconds_left(job), unsuccessful(job.progress)
    words = "has just begun." if left_s is None else f"has about {about(left_s)} to go."
    if failed:
        items = f"{numbers.count(failed)} of its items"
        have, them = ("has", "it") if failed == 1 else ("have", "them")
        words += f" {items} {have} failed; you can retry {them} when it has ended."
    return words


def is_parked(job: JobSummary) -> bool:
    """Whether nothing of the job goes on until another kind of worker comes."""
    waits = job.waiting_for
    return job.state == "queued" and waits is not None and waits.code == "parked"


def lost_workers(job: Job) -> int:
    """How often a worker was lost while it ran a batch of the job."""
    return sum(batch.lost_workers for batch in job.batches)


def _count(count: int, one: str, many: str) -> str:
    return f"{in_words(count)} {one if count == 1 else many}" if count else ""


def _worker_line(worker: LiveWorker, facts: Facts) -> WorkerLine:
    job, _, batch = (worker.batch or "").partition("/")
    cpu_s, running_s = (facts.cpu_s or {}).get(worker.name, (0.0, 0.0))
    used = cpu_s / running_s if running_s else 0.0
    warm = sum(pool.children for pool in worker.warm)
    about_it = [numbers.size(worker.rss_bytes)]
    if warm:
        about_it.append(f"{numbers.count(warm)} warm")
    return WorkerLine(
        name=worker.name,
        about=tuple(about_it),
        state="running" if job else "idle",
        word=f"batch {batch}" if job else ("reserved" if worker.reserved else worker.state),
        job=(job, int(batch)) if job and batch.isdigit() else None,
        use=f"{used:.2f} of {numbers.with_unit(f'{worker.cpus:g}', 'CPUs')}" if running_s else "",
        bar=draw_utilisation(used, worker.cpus, "CPUs") if running_s else "",
    )


def _recent_note(runs: int) -> str:
    return f"{numbers.plural(runs, 'run')} of comparisons left out" if runs else ""


def _workers_note(workers: Sequence[LiveWorker]) -> str:
    """What all of them share; empty where they share nothing."""
    kinds = {(worker.python, worker.gil, worker.host) for worker in workers}
    if len(kinds) != 1:
        return numbers.plural(len(workers), "worker") if workers else ""
    python, gil, host = kinds.pop()
    return f"Python {python}, {'GIL' if gil else 'no GIL'}, host {host}"


def _comparison_line(found: ComparisonSummary, conclusion: Sequence[str]) -> ComparisonLine:
    progress, ended = found.progress, found.state in ("succeeded", "failed", "cancelled")
    wall = numbers.duration(found.timing.wall_s)
    at = f"{progress.done} of {numbers.plural(progress.runs, 'run')}"
    error = found.error.message if found.error else ""
    return ComparisonLine(
        id=found.id,
        title=f"{found.spec.task}, {numbers.plural(len(found.spec.arms), 'way')}",
        state=found.state,
        word="answered" if found.state == "succeeded" else found.state,
        when=f"{numbers.plural(found.spec.rounds, 'round')} · {wall}" if ended else at,
        text=conclusion[0] if conclusion else sentence(error),
    )
