"""Tables of a comparison: all figures of the arms, what a run costs, and the environment; pure."""

import json

from batchpool.charts import numbers
from batchpool.charts.svg import Table
from batchpool.schemas.comparison_responses import ArmResult, Comparison


def arms_table(comparison: Comparison) -> Table:
    """Every figure of every arm."""
    header = ("Arm", "Verdict", "Median", "± MAD", "Speedup", "Interval", "p (Holm)", "Outliers")
    rows = tuple(_arm_row(arm, comparison) for arm in comparison.arms or ())
    return Table("Arms", header, rows, figures=6)


def _arm_row(arm: ArmResult, comparison: Comparison) -> tuple[str, ...]:
    is_reference = arm.index == comparison.spec.reference
    speedup, p = arm.speedup, arm.ratio.p_adjusted if arm.ratio else None
    return (
        arm.name,
        "reference" if is_reference else arm.verdict or "no verdict",
        numbers.duration(arm.median_s),
        numbers.duration(arm.mad_s),
        numbers.ratio(speedup.value if speedup else 1.0 if is_reference else None),
        numbers.interval(speedup.low, speedup.high) if speedup else numbers.NOTHING,
        numbers.NOTHING if p is None else f"{p:.2g}",
        numbers.count(len(arm.outliers)),
    )


def costs_table(comparison: Comparison) -> Table:
    """CPU time and memory of a run of each arm."""
    arms = comparison.arms or []
    count = comparison.spec.items.count or 1
    unit, cells = numbers.duration_column([arm.cpu_s for arm in arms])
    each_unit, each = numbers.duration_column(
        [None if arm.cpu_s is None else arm.cpu_s / count for arm in arms]
    )
    header = ("Arm", _head("CPU", unit), _head("CPU per item", each_unit), "Memory at most")
    rows = tuple(
        (arm.name, cell, per_item, numbers.size(arm.peak_pss_bytes))
        for arm, cell, per_item in zip(arms, cells, each, strict=True)
    )
    return Table("What a run costs", header, rows, figures=3)


def _head(word: str, unit: str) -> str:
    return f"{word}, {unit}" if unit else word


def environment_pairs(comparison: Comparison) -> list[tuple[str, str]]:
    """Where it ran, and on what; unknown facts are left out."""
    found, spec = comparison.environment or {}, comparison.spec
    pairs = [
        ("Python", _python(found)),
        ("CPUs", _cpus(found)),
        ("Load at the start", _figure(found.get("load_1m"))),
        ("Hosts", ", ".join(found.get("hosts") or ())),
        ("Workers", ", ".join(worker["name"] for worker in found.get("workers") or ())),
        ("Redis", str(found.get("redis_version") or "")),
        ("batchpool", str(found.get("batchpool_version") or "")),
        ("Work", f"{spec.task}, {numbers.plural(spec.items.count, 'item')}"),
        ("Params", ", ".join(f"{name} {_param(value)}" for name, value in spec.params.items())),
        ("Least effect", numbers.percent(spec.min_effect)),
        ("Seed", str(spec.seed)),
        ("Started", _moment(str(found.get("started_at") or comparison.timing.started_at or ""))),
    ]
    return [(name, text) for name, text in pairs if text]


def _python(found: dict[str, object]) -> str:
    python, gil = found.get("python"), found.get("gil")
    if not python:
        return ""
    shown = ", ".join(python) if isinstance(python, list) else str(python)
    if isinstance(gil, bool):
        return f"{shown}, {'with' if gil else 'without'} the GIL"
    return shown


def _cpus(found: dict[str, object]) -> str:
    cpus, quota = found.get("cpus"), found.get("quota")
    if cpus is None:
        return ""
    return f"{cpus:g}, {'no quota' if quota is None else f'a quota of {quota:g}'}"


def _param(value: object) -> str:
    shown = json.dumps(value, ensure_ascii=False)
    return numbers.exact(shown)


def _moment(text: str) -> str:
    return f"{text[:10]} {text[11:19]} UTC" if text else ""


def _figure(value: object) -> str:
    return f"{value:.2f}" if isinstance(value, float) else ""
