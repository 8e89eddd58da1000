"""The results of a comparison as Markdown, as CSV, and in hyperfine's JSON format."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median, stdev

from batchpool.comparisons.planning import arm_name, arm_spec
from batchpool.jobs.csv_cell import csv_cell
from batchpool.ledger.values.comparison_entries import ComparisonSpec, Environment, RunFacts, Sample
from batchpool.schemas.comparison_responses import Analysis, ArmResult
from batchpool.schemas.job_responses import ResponseModel

_COLUMNS = (
    "arm",
    "backend",
    "concurrency",
    "batches",
    "round",
    "attempt",
    "counts",
    "wall_s",
    "queue_s",
    "startup_s",
    "cpu_s",
    "peak_pss_bytes",
    "max_in_flight",
    "throttled_s",
    "disturbed",
    "error",
    "job_id",
)


@dataclass(frozen=True)
class Results:
    """All that is known of a comparison that has ended with an analysis."""

    spec: ComparisonSpec
    samples: Sequence[Sample]
    environment: Environment
    analysis: Analysis


def to_markdown(results: Results) -> str:
    """A report: conclusion, table of arms, time breakdown, findings and environment."""
    spec, analysis = results.spec, results.analysis
    lines = [
        f"# {spec.task}: {len(analysis.arms)} arms, {spec.rounds} rounds",
        "",
        *analysis.conclusion,
        "",
        *_table(
            ("arm", "median s", "MAD s", "speedup", "nominal 95 %", "p (Holm)", "verdict"),
            [_arm_row(arm) for arm in analysis.arms],
        ),
    ]
    if analysis.conditions:
        rows = [
            [_plain(each.condition), each.outcome, _plain(each.why)] for each in analysis.conditions
        ]
        lines += ["", *_table(("condition", "outcome", "why"), rows)]
    if parts := [(arm.name, arm.parts) for arm in analysis.arms if arm.parts]:
        names = list(parts[0][1])
        head = ("seconds of", *(name.removesuffix("_s") for name in names))
        rows = [[_plain(arm), *(_seconds(of[name]) for name in names)] for arm, of in parts]
        lines += ["", *_table(head, rows)]
    for title, findings in (("Errors", analysis.guard), ("Warnings", analysis.warnings)):
        if findings:
            lines += ["", f"{title}:", "", *(f"- {_plain(each.message)}" for each in findings)]
    lines += ["", _environment_line(results)]
    return "\n".join(lines) + "\n"


def _arm_row(arm: ArmResult) -> list[str]:
    ratio, speedup = arm.ratio, arm.speedup
    return [
        _plain(arm.name),
        _seconds(arm.median_s),
        _seconds(arm.mad_s),
        "" if speedup is None else f"{speedup.value:.2f}",
        "" if speedup is None else f"{speedup.low:.2f} – {speedup.high:.2f}",
        "" if ratio is None else f"{ratio.p_adjusted:.2g}",
        arm.verdict or ("reference" if ratio is None else "none"),
    ]


def _environment_line(results: Results) -> str:
    environment = results.environment
    shown = {
        "python": environment.python,
        "gil": environment.gil,
        "cpus": environment.cpus,
        "quota": environment.quota,
        "hosts": environment.hosts or None,
        "load_1m": environment.load_1m,
        "redis_version": environment.redis_version,
        "git_revision": environment.git_revision,
    }
    found = ", ".join(f"{name} {value}" for name, value in shown.items() if value is not None)
    return _plain(f"Measured with {found}; seed {results.spec.seed}.")


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    rule = ["---", *("---:" for _ in head[1:])]
    return [f"| {' | '.join(row)} |" for row in (head, rule, *rows)]


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _plain(text: str) -> str:
    """Escape what would end a table cell or begin a tag, and join lines."""
    return " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")


def to_csv(results: Results) -> str:
    """One row per run of an arm, including disturbed runs."""
    text = io.StringIO()
    writer = csv.DictWriter(text, _COLUMNS, lineterminator="\r\n")
    writer.writeheader()
    for sample in _measured(results):
        row = _csv_row(results.spec, sample)
        writer.writerow({name: csv_cell(value) for name, value in row.items()})
    return text.getvalue()


def _measured(results: Results) -> list[Sample]:
    """The samples without warm-up and baseline runs."""
    return [sample for sample in results.samples if sample.kind == "sample"]


def _csv_row(spec: ComparisonSpec, sample: Sample) -> Mapping[str, object]:
    known: dict[str, object] = {
        **sample.to_json(),
        **(sample.facts.to_json() if sample.facts else {}),
        **arm_spec(spec, sample.arm).to_json(),
        "arm": arm_name(spec, sample.arm),
        "counts": int(not sample.disturbed and sample.facts is not None),
    }
    return {name: known[name] for name in _COLUMNS if name in known}


class HyperfineResult(ResponseModel):
    """One command in hyperfine's format."""

    command: str
    mean: float
    stddev: float | None
    median: float
    user: float
    system: float
    min: float
    max: float
    times: list[float]
    exit_codes: list[int]
    parameters: dict[str, str]
    memory_usage_byte: list[int] | None = None


class HyperfineExport(ResponseModel):
    """The document that `hyperfine --export-json` writes."""

    results: list[HyperfineResult]


def to_hyperfine(results: Results) -> HyperfineExport:
    """The arms in hyperfine's format, for the tools that read it.

    All CPU time is in `user`, since user and system time are not measured separately.
    """
    return HyperfineExport(
        results=[_result(results, arm) for arm in results.analysis.arms if arm.samples]
    )


def _result(results: Results, arm: ArmResult) -> HyperfineResult:
    times = arm.samples
    found = HyperfineResult(
        command=f"{results.spec.task}: {arm.name}",
        mean=fmean(times),
        stddev=stdev(times) if len(times) > 1 else None,
        median=median(times),
        user=arm.cpu_s or 0.0,
        system=0.0,
        min=min(times),
        max=max(times),
        times=times,
        exit_codes=[0] * len(times),
        parameters={
            "backend": arm.spec.backend,
            "batches": str(arm.spec.batches),
            "concurrency": str(arm.spec.concurrency),
        },
    )
    memory = [facts.peak_pss_bytes for facts in _counted(results, arm)]
    known = [size for size in memory if size is not None]
    if known and len(known) == len(memory) == len(times):
        found = found.model_copy(update={"memory_usage_byte": known})
    return found


def _counted(results: Results, arm: ArmResult) -> list[RunFacts]:
    return [
        sample.facts
        for sample in _measured(results)
        if sample.arm == arm.index and sample.facts and not sample.disturbed
    ]
