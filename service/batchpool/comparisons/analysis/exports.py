"""A comparison's document as Markdown, CSV, and as hyperfine writes its results."""

import csv
import io
from collections.abc import Mapping, Sequence
from statistics import fmean, median, stdev
from typing import Any

from batchpool.comparisons.analysis.arm_samples import is_sample
from batchpool.jobs.csv_cell import csv_cell

Document = Mapping[str, Any]

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


def to_markdown(document: Document) -> str:
    """A page to paste into a report: conclusion, table of arms, parts, what was found."""
    spec = document["spec"]
    lines = [
        f"# {spec['task']}: {len(document['arms'])} arms, {spec['rounds']} rounds",
        "",
        *document["conclusion"],
        "",
        *_table(
            ("arm", "median s", "MAD s", "speedup", "nominal 95 %", "p (Holm)", "verdict"),
            [_arm_row(arm) for arm in document["arms"]],
        ),
    ]
    if rows := [_parts_row(document, arm) for arm in document["arms"] if arm["parts"]]:
        lines += ["", *_table(("seconds of", *_parts_of(document)), rows)]
    for title in ("guard", "warnings"):
        if document[title]:
            lines += ["", f"{title.capitalize()}:", ""]
            lines += [f"- {_plain(each['message'])}" for each in document[title]]
    lines += ["", *_environment_line(document)]
    return "\n".join(lines) + "\n"


def _arm_row(arm: Mapping[str, Any]) -> list[str]:
    ratio, speedup = arm["ratio"], arm["speedup"]
    return [
        _plain(arm["name"]),
        _seconds(arm["median_s"]),
        _seconds(arm["mad_s"]),
        "" if speedup is None else f"{speedup['value']:.2f}",
        "" if speedup is None else f"{speedup['low']:.2f} – {speedup['high']:.2f}",
        "" if ratio is None else f"{ratio['p_adjusted']:.2g}",
        arm["verdict"] or ("reference" if ratio is None else "none"),
    ]


def _parts_of(document: Document) -> list[str]:
    found = [arm["parts"] for arm in document["arms"] if arm["parts"]]
    return [name.removesuffix("_s") for name in found[0]] if found else []


def _parts_row(document: Document, arm: Mapping[str, Any]) -> list[str]:
    return [_plain(arm["name"]), *(_seconds(arm["parts"][f"{p}_s"]) for p in _parts_of(document))]


def _environment_line(document: Document) -> list[str]:
    shown = ("python", "gil", "cpus", "quota", "hosts", "load_1m", "redis_version", "git_revision")
    environment = document.get("environment") or {}
    found = [f"{name} {environment[name]}" for name in shown if environment.get(name) is not None]
    return [_plain(f"Measured with {', '.join(found)}; seed {document['spec']['seed']}.")]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    rule = ["---", *("---:" for _ in head[1:])]
    return [f"| {' | '.join(row)} |" for row in (head, rule, *rows)]


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _plain(text: str) -> str:
    """Text that a name or an error message cannot break out of."""
    return " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")


def to_csv(document: Document) -> str:
    """One row per run of an arm, disturbed ones included."""
    text = io.StringIO()
    writer = csv.DictWriter(text, _COLUMNS, lineterminator="\r\n")
    writer.writeheader()
    for sample in document["samples"]:
        if (name := _arm_name(document, sample)) is not None:
            writer.writerow({k: csv_cell(v) for k, v in _csv_row(document, sample, name).items()})
    return text.getvalue()


def _csv_row(document: Document, sample: Mapping[str, Any], name: str) -> dict[str, Any]:
    facts = sample.get("facts") or {}
    arms = document["spec"]["arms"]
    is_hidden = sample["arm"] == len(arms)
    spec = arms[document["spec"]["reference"] if is_hidden else sample["arm"]]
    row = {
        "arm": name,
        "round": sample["round"],
        "counts": int(not sample.get("disturbed") and bool(facts)),
    }
    for source in (spec, facts, sample):
        row |= {key: source[key] for key in _COLUMNS if key in source and key not in row}
    return row


def _arm_name(document: Document, sample: Mapping[str, Any]) -> str | None:
    """None for warm-ups and the solo run, which are no samples."""
    arms = document["spec"]["arms"]
    if not is_sample(sample):
        return None
    if sample["arm"] < len(arms):
        return str(arms[sample["arm"]]["name"])
    return f"{arms[document['spec']['reference']]['name']} again"


def to_hyperfine(document: Document) -> dict[str, Any]:
    """What `hyperfine --export-json` writes, for the tools that read it.

    Its `user` time holds all CPU time, since ours is not told apart from that of the kernel.
    """
    return {
        "results": [_result(document, arm) for arm in document["arms"] if arm["samples"]],
    }


def _result(document: Document, arm: Mapping[str, Any]) -> dict[str, Any]:
    times = list(arm["samples"])
    counted = [
        sample["facts"]
        for sample in document["samples"]
        if sample.get("arm") == arm["index"]
        and _arm_name(document, sample) is not None
        and sample.get("facts")
        and not sample.get("disturbed")
    ]
    memory = [facts.get("peak_pss_bytes") for facts in counted]
    result: dict[str, Any] = {
        "command": f"{document['spec']['task']}: {arm['name']}",
        "mean": fmean(times),
        "stddev": stdev(times) if len(times) > 1 else None,
        "median": median(times),
        "user": arm["cpu_s"] or 0.0,
        "system": 0.0,
        "min": min(times),
        "max": max(times),
        "times": times,
        "exit_codes": [0] * len(times),
        "parameters": {
            name: str(arm["spec"][name])
            for name in ("backend", "batches", "concurrency")
            if arm["spec"].get(name) is not None
        },
    }
    if memory and None not in memory and len(memory) == len(times):
        result["memory_usage_byte"] = memory
    return result
