"""From a comparison, its jobs and records to what a run of a lesson showed; pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from batchpool.comparisons.aggregation import show_comparison_summary
from batchpool.jobs.aggregation import show_summary
from batchpool.ledger.blocks.record_fields import RecordDocument
from batchpool.ledger.values.comparison_entries import ComparisonEntry, RunFacts, Sample
from batchpool.ledger.values.job_entries import JobEntry
from batchpool.lessons.catalogue import Lesson
from batchpool.lessons.doubts import GAIN, doubts_about
from batchpool.lessons.sentences import about_parents, explain, no_lesson
from batchpool.schemas.comparison_responses import Analysis, ArmResult
from batchpool.schemas.job_responses import Number
from batchpool.schemas.lesson_responses import LessonRun, LessonWay, TaskRun
from batchpool.timestamps import seconds_between


@dataclass(frozen=True)
class LessonSource:
    """What is read of the ledger for one run of a lesson.

    Args:
        jobs: those of its measured rounds by id; a deleted one is missing.
        records: of the job that stands for each way, by the index of the way.
    """

    entry: ComparisonEntry
    now_ms: int
    jobs: Mapping[str, JobEntry]
    records: Mapping[int, Sequence[RecordDocument]]


@dataclass(frozen=True)
class _Speedup:
    """A way as `doubts_about` takes it."""

    way: str
    faster: bool
    round_speedups: tuple[float, ...]


def measured_samples(entry: ComparisonEntry, way: int) -> list[Sample]:
    """The rounds of a way that count, the fastest first."""
    kept = [
        sample
        for sample in entry.samples
        if sample.arm == way and sample.kind == "sample" and sample.facts and not sample.error
    ]
    return sorted(kept, key=lambda sample: sample.facts.wall_s if sample.facts else 0.0)


def shown_job(entry: ComparisonEntry, way: int) -> str | None:
    """The job of the round of median time, which stands for the way."""
    samples = measured_samples(entry, way)
    return samples[len(samples) // 2].job_id if samples else None


def build_run(lesson: Lesson, source: LessonSource) -> LessonRun:
    """What the run showed so far; the sentence and the doubts only once it has ended."""
    entry = source.entry
    analysis = Analysis.model_validate(entry.analysis) if entry.analysis else None
    arms = analysis.arms if analysis else None
    ways = [_way(lesson, source, at, arms) for at in range(len(lesson.ways))]
    doubts: list[str] = []
    sentence = None
    if analysis is not None:
        doubts = [finding.message for finding in analysis.guard]
        doubts += _doubts(entry, ways) if lesson.kind == "computing" else ()
        sentence = no_lesson(doubts) if doubts else explain(lesson, ways, _has_gil(entry))
    elif entry.error:
        sentence = f"This run came to no end: {entry.error['message']}. Run it again."
    elif entry.state == "cancelled":
        sentence = "This run was cancelled. Run it again."
    return LessonRun(
        lesson=lesson.name,
        comparison=entry.id,
        state=entry.state,
        progress=show_comparison_summary(entry, source.now_ms).progress,
        sentence=sentence,
        doubts=doubts,
        ways=ways,
    )


def _way(
    lesson: Lesson, source: LessonSource, at: int, arms: Sequence[ArmResult] | None
) -> LessonWay:
    way = lesson.ways[at]
    facts = _facts(source.entry, at)
    job_id = shown_job(source.entry, at)
    job = source.jobs.get(job_id or "")
    arm = arms[at] if arms else None
    summary = show_summary(job, source.now_ms) if job else None
    shared = summary["shared_sum"] if summary else None
    return LessonWay(
        name=way.name,
        heading=way.heading,
        backend=str(way.options["backend"]),
        job=job.id if job else None,
        wall_s=median(each.wall_s for each in facts) if facts else None,
        speedup=arm.speedup.value if arm and arm.speedup else None,
        verdict=arm.verdict if arm else None,
        round_speedups=_round_speedups(source.entry, at) if at else [],
        cpu_share=_cpu_share(facts),
        observed=_total(shared["observed"]) if shared else None,
        lost=_lost(source, at),
        sum=summary["sum"] if summary else None,
        ready_s=_ready_s(job) if job else None,
        parents=about_parents(_start_method(facts)),
        tasks=[_task(job, record) for record in source.records.get(at, ())] if job else [],
    )


def _facts(entry: ComparisonEntry, way: int) -> list[RunFacts]:
    return [sample.facts for sample in measured_samples(entry, way) if sample.facts]


def _cpu_share(facts: Sequence[RunFacts]) -> float | None:
    shares = [each.task_cpu_s / each.task_wall_s for each in facts if each.task_wall_s]
    return median(shares) if shares else None


def _round_speedups(entry: ComparisonEntry, way: int) -> list[float]:
    walls = [
        {
            sample.round: sample.facts.wall_s
            for sample in measured_samples(entry, at)
            if sample.facts
        }
        for at in (0, way)
    ]
    first, other = walls
    return [first[at] / other[at] for at in sorted(first.keys() & other.keys(), key=str)]


def _lost(source: LessonSource, way: int) -> list[Number]:
    jobs = [source.jobs.get(each.job_id) for each in measured_samples(source.entry, way)]
    shared = [show_summary(job, source.now_ms)["shared_sum"] for job in jobs if job]
    return [each["lost"] for each in shared if each and each["lost"] is not None]


def _total(observed: Sequence[Number | None]) -> Number | None:
    known = [value for value in observed if value is not None]
    return sum(known) if known else None


def _start_method(facts: Sequence[RunFacts]) -> str | None:
    return facts[0].start_method[0] if facts and facts[0].start_method else None


def _ready_s(job: JobEntry) -> float | None:
    phases = job.batches[0].report.get("phases")
    return phases["ready_s"] if phases else None


def _task(job: JobEntry, record: RecordDocument) -> TaskRun:
    batch = job.batches[record["batch"]]
    begun = seconds_between(job.started_ms, batch.started_ms) or 0.0
    item = record["item"]
    return TaskRun(
        item=item if type(item) in (int, float) else record["index"],
        worker=record["worker"] or "",
        pid=record["pid"] or 0,
        parent=record["ppid"] or 0,
        thread=record["thread_name"] or "",
        start_s=begun + (record["offset_s"] or 0.0),
        wall_s=record["wall_s"] or 0.0,
        cpu_s=record["cpu_s"] or 0.0,
        sum_seen=record["sum_seen"],
    )


def _has_gil(entry: ComparisonEntry) -> bool:
    return any(any(facts.gil) for at in range(len(entry.spec.arms)) for facts in _facts(entry, at))


def _doubts(entry: ComparisonEntry, ways: Sequence[LessonWay]) -> tuple[str, ...]:
    """Why nothing follows from tasks that compute; by the rules of the demo."""
    speedups = [
        _Speedup(way.name, (way.speedup or 0.0) >= GAIN, _without_extremes(way.round_speedups))
        for way in ways[1:]
    ]
    others_cpus, in_flight = _others_cpus(entry, ways)
    known = [facts.cpus for at in range(len(ways)) for facts in _facts(entry, at) if facts.cpus]
    spare_cpus = min(known, default=1.0) - in_flight - others_cpus
    return doubts_about(
        speedups, others_cpus=others_cpus, spare_cpus=spare_cpus, gil=_has_gil(entry)
    )


def _without_extremes(speedups: Sequence[float]) -> tuple[float, ...]:
    """The rounds but the fastest and the slowest: of seven, one is always odd."""
    return tuple(sorted(speedups)[1:-1]) if len(speedups) >= 5 else tuple(speedups)


def _others_cpus(entry: ComparisonEntry, ways: Sequence[LessonWay]) -> tuple[float, int]:
    """The CPUs that others took from tasks that only compute, and the most tasks in flight.

    A task that waits for no GIL and computes all the time has a CPU for all of its time, unless
    another program has it.
    """
    taken = [0.0]
    for at, way in enumerate(ways):
        if not way.name.startswith("thread") and way.cpu_share is not None:
            taken.append(entry.spec.arms[at].in_flight * (1 - way.cpu_share))
    return max(0.0, *taken), max(arm.in_flight for arm in entry.spec.arms)
