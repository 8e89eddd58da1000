"""Consoles, log prefix, progress bar and the summary of a job."""

import json
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import Task as ProgressTask
from rich.table import Table
from rich.text import Text

from batchpool.charts.visible_text import visible
from batchpool.client.resources import Event, Job
from batchpool.json_value import JsonObject

_COLOURS = ("cyan", "magenta", "green", "yellow", "blue", "bright_cyan", "bright_magenta")
STATE_STYLES = {"succeeded": "bold green", "failed": "bold red", "cancelled": "bold yellow"}


def stdout_console() -> Console:
    """Return the console on stdout, for data."""
    return _console()


def stderr_console() -> Console:
    """Return the console on stderr, for progress and messages."""
    return _console(stderr=True)


def _console(*, stderr: bool = False, soft_wrap: bool = False) -> Console:
    # Texts are those of users: ":warning:" in them is no emoji.
    return Console(stderr=stderr, highlight=False, emoji=False, soft_wrap=soft_wrap)


def list_table(names: Iterable[str], text: str, counts: Iterable[str]) -> Table:
    """Return an empty table of resources: ids and states, a text that is folded, counts."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in names:
        table.add_column(name, no_wrap=True)
    table.add_column(text, overflow="fold")
    for name in counts:
        table.add_column(name, justify="right", no_wrap=True)
    return table


class LogFormat:
    """Renders the log lines of the stack's processes for stderr, each with the process name."""

    def __init__(self) -> None:
        self._console = stderr_console()
        self._styles: dict[str, str] = {"stack": "bold"}

    def __call__(self, name: str, line: str) -> str:
        style = self._styles.setdefault(name, _COLOURS[len(self._styles) % len(_COLOURS)])
        text = Text.assemble((f"{name:<10} │ ", style), Text.from_ansi(line))
        with self._console.capture() as captured:
            self._console.print(text, soft_wrap=True)
        return captured.get()


def item_progress(console: Console) -> Progress:
    """Return a bar of items with their rate, failures and the time left.

    It draws nothing unless stderr is a terminal. `failed` is a field of its tasks.
    """
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        _RateColumn(),
        TextColumn("[red]{task.fields[failed]}"),
        TimeRemainingColumn(elapsed_when_finished=True),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


class _RateColumn(ProgressColumn):
    """Steps per second over the last half minute."""

    def render(self, task: ProgressTask) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.{0 if speed >= 10 else 1}f}/s", "dim")


def _failed_text(job: Job) -> str:
    failed = sum(job.progress.get(state, 0) for state in ("failed", "timeout", "crashed"))
    return f"{failed} failed" if failed else ""


def follow(events: Iterable[Event]) -> Iterator[Job]:
    """Draw a progress bar from the event stream; yield each snapshot of the job."""
    with item_progress(stderr_console()) as progress:
        bar = progress.add_task("queued", total=None, failed="")
        for event in events:
            job = Job(event.data)
            if "progress" not in job.data:
                continue
            progress.update(
                bar,
                description=job.state,
                total=job.progress["total"],
                completed=job.finished_items,
                failed=_failed_text(job),
            )
            yield job


def print_summary(console: Console, job: Job) -> None:
    """Print the outcome of a job in a few lines."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in _summary(job):
        table.add_row(name, value if isinstance(value, Text) else Text(value))
    console.print(table)


def _summary(job: Job) -> Iterator[tuple[str, Text | str]]:
    spec, timing, progress = job["spec"], job.timing, job.progress
    yield "job", job.id
    yield "state", Text(job.state, STATE_STYLES.get(job.state, "bold"))
    how = f"{spec['backend']}, concurrency {spec['concurrency']}, batches {spec['batches']}"
    yield "ran", f"{spec['task']} × {progress['total']} on {how}"
    counts = [f"{count} {state}" for state, count in progress.items() if count and state != "total"]
    yield "items", ", ".join(counts)
    yield "sum", "no value was a number" if job.sum is None else str(job.sum)
    for name, reduced in job.reduced.items():
        yield f"reduced {name}", _reduced(reduced)
    if timing.get("wall_s") is not None:
        yield (
            "wall",
            f"{timing['wall_s']:.3f} s, waited {timing['queue_s'] or 0:.3f} s in the queue",
        )
    if timing.get("parallelism") is not None:
        cpu = timing.get("cpu_parallelism") or 0
        yield "parallelism", f"{timing['parallelism']:.2f} tasks in flight, {cpu:.2f} CPUs busy"
    yield "seen", f"{_count(job, 'pids', 'task PID')} on {_count(job, 'workers', 'worker')}"
    shared = job.data.get("shared_sum") or {}
    if shared.get("strategy") not in (None, "none"):
        seen = ", ".join(str(value) for value in shared["observed"])
        lost = "" if shared["lost"] is None else f", lost {shared['lost']}"
        yield "shared sum", f"{shared['strategy']}: observed {seen}{lost}"
    if job.data.get("error"):
        error = job["error"]
        yield "error", Text(f"{error.get('type')}: {error.get('message')}", "red")


def _reduced(reduced: JsonObject, most: int = 200) -> str:
    """The value as JSON on a line, cut if it is long, and what was left out of it."""
    text = json.dumps(reduced["value"], ensure_ascii=False)
    notes = {"skipped": reduced["skipped"]["count"], "without room": reduced["overflow"]}
    cut = text if len(text) <= most else f"{text[:most]}… (all of it with --json)"
    return "; ".join([cut, *(f"{count} {note}" for note, count in notes.items() if count)])


def _count(job: Job, name: str, noun: str) -> str:
    total = int(job.data[f"{name}_total"])
    return f"{total} {noun}" + ("" if total == 1 else "s")


def print_failures(console: Console, records: Iterable[dict[str, Any]], most: int = 5) -> None:
    """Print the first few failed items with their errors."""
    for seen, record in enumerate(records):
        if seen == most:
            console.print("  …", style="dim")
            return
        error = record.get("error") or {}
        line = f"  item {record['index']}: {record['state']}"
        if error:
            line += f", {error.get('type')}: {error.get('message')}"
        console.print(visible(line), style="red", markup=False)


def print_error(message: str) -> None:
    """Print an error message on stderr."""
    console = _console(stderr=True, soft_wrap=True)
    console.print(Text("error: ", "bold red"), Text(message), sep="")
    sys.stderr.flush()
