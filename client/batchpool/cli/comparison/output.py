"""Print a comparison: a progress bar while it runs, then the result table."""

from collections.abc import Iterable, Iterator
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from batchpool.cli.output import list_table, stderr_console
from batchpool.client.comparisons import Comparison
from batchpool.client.resources import Event
from batchpool.json_value import JsonObject

_STYLES = {"faster": "bold green", "slower": "bold red"}
_OUTCOMES = {"passed": "bold green", "failed": "bold red", "not proven": "bold yellow"}
_LEAST_SHARE = 0.005
"""Parts that are below this share of every arm's time have no column."""


def follow_comparison(events: Iterable[Event]) -> None:
    """Draw a progress bar from the event stream; print each reason for waiting once."""
    console = stderr_console()
    waited: str | None = None
    with Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as progress:
        bar = progress.add_task("queued", total=None)
        for event in events:
            now = event.data["progress"]
            # Its turn comes at once in most cases, and a bar says so meanwhile.
            waits_for = now["waits_for"] if event.data["state"] == "running" else None
            if waits_for and waits_for != waited:
                console.print(f"waits for {waits_for}", style="dim", markup=False)
            waited = waits_for or waited
            progress.update(
                bar, description=_progress_text(now), total=now["runs"], completed=now["done"]
            )


def _progress_text(now: dict[str, Any]) -> str:
    if now["waits_for"]:
        return "waits"
    if now["kind"] == "sample":
        return f"round {now['round']}/{now['rounds']}: {now['arm']}"
    if now["kind"] is not None:
        return f"{'alone' if now['kind'] == 'solo' else 'warm-up'}: {now['arm']}"
    return "done"


def print_comparison(console: Console, comparison: Comparison) -> None:
    """Print the conclusion, then the data behind it."""
    for sentence in comparison.conclusion:
        console.print(sentence, style="bold", markup=False)
    for each in comparison.conditions:
        outcome = Text(each["outcome"], _OUTCOMES[each["outcome"]])
        console.print(outcome, Text(f"{each['condition']}: {each['why']}"))
        if each["rounds_needed"]:
            console.print(f"  about {each['rounds_needed']} rounds would decide it", style="dim")
    if comparison.arms:
        console.print()
        console.print(_arms_table(comparison))
        if parts := _parts_table(comparison):
            console.print()
            console.print(parts)
    for name, style in (("guard", "red"), ("warnings", "yellow")):
        for text in _findings(comparison.data.get(name) or ()):
            console.print(f"  {text}", style=style, markup=False)
    console.print(_footer(comparison), style="dim", markup=False)


def _findings(findings: Iterable[JsonObject]) -> Iterator[str]:
    for each in findings:
        own = f"{each['arm']}: " if each["arm"] else ""
        yield own + str(each["message"]).removeprefix(own)


def print_comparisons(console: Console, found: Iterable[Comparison]) -> None:
    """Print a line for each comparison."""
    table = list_table(("id", "state"), "task", ("items", "arms", "runs"))
    for each in found:
        spec, done = each["spec"], each.progress
        table.add_row(
            each.id,
            each.state,
            Text(spec["task"]),
            str(spec["items"]["count"]),
            str(len(spec["arms"])),
            f"{done['done']}/{done['runs']}",
        )
    console.print(table)


def _arms_table(comparison: Comparison) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    # Where it is narrow the names fold, and never a figure or a verdict.
    table.add_column("arm", overflow="fold", min_width=10)
    for name in ("median", "± MAD", "speedup", "nominal 95 %", "p (Holm)"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("verdict", min_width=13)
    for arm in comparison.arms:
        speedup, ratio = arm["speedup"], arm["ratio"]
        is_reference = arm["index"] == comparison["spec"]["reference"]
        verdict = arm["verdict"] or ("reference" if is_reference else "none")
        table.add_row(
            Text(arm["name"]),
            _seconds(arm["median_s"]),
            _seconds(arm["mad_s"]),
            f"{speedup['value']:.2f} ×" if speedup else "",
            f"{speedup['low']:.2f} – {speedup['high']:.2f}" if speedup else "",
            f"{ratio['p_adjusted']:.2g}" if ratio and ratio["p_adjusted"] is not None else "",
            Text(verdict, _STYLES.get(verdict, "")),
        )
    return table


def _parts_table(comparison: Comparison) -> Table | None:
    """Build the table of how each arm's wall time was spent, in percent."""
    arms = [arm for arm in comparison.arms if arm["parts"] and arm["median_s"]]
    shown = [
        name
        for name in (arms[0]["parts"] if arms else ())
        if any((arm["parts"][name] or 0.0) > _LEAST_SHARE * arm["median_s"] for arm in arms)
    ]
    if not shown:
        return None
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("of its time", overflow="fold", min_width=10)
    for name in shown:
        table.add_column(name.removesuffix("_s"), justify="right", no_wrap=True)
    for arm in arms:
        shares = [_share(arm["parts"][name], arm["median_s"]) for name in shown]
        table.add_row(Text(arm["name"]), *shares)
    return table


def _share(part_s: float | None, whole_s: float) -> str:
    return "" if part_s is None else f"{part_s / whole_s:.1%}"


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.3f} s" if value >= 1 else f"{value * 1000:.1f} ms"


def _footer(comparison: Comparison) -> str:
    spec, environment = comparison["spec"], comparison["environment"] or {}
    progress = comparison.progress
    facts = [
        f"comparison {comparison.id}",
        f"{spec['task']} × {spec['items']['count']}",
        f"{spec['rounds']} rounds, seed {spec['seed']}",
    ]
    if environment:
        gil = "" if environment["gil"] else " without GIL"
        facts.append(f"Python {environment['python']}{gil}, {environment['cpus']:g} CPUs")
    if progress["disturbed"]:
        facts.append(f"{progress['disturbed']} disturbed runs were repeated")
    return "; ".join(facts)
