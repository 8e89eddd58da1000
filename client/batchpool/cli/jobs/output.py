"""Print lists of jobs, the batches of a job, and its failures by cause."""

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from batchpool.charts.visible_text import visible
from batchpool.cli.output import STATE_STYLES, list_table
from batchpool.client.resources import Job
from batchpool.json_value import JsonObject


def print_jobs(console: Console, found: Iterable[Job]) -> None:
    """Print a line for each job."""
    table = list_table(("id", "state"), "task", ("items", "failed", "wall"))
    for job in found:
        progress, wall_s = job.progress, job.timing.get("wall_s")
        failed = sum(progress.get(state, 0) for state in ("failed", "timeout", "crashed"))
        table.add_row(
            job.id,
            Text(job.state, STATE_STYLES.get(job.state, "bold")),
            Text(job["spec"]["task"]),
            f"{job.finished_items}/{progress['total']}",
            str(failed) if failed else "",
            "" if wall_s is None else f"{wall_s:.2f} s",
        )
    console.print(table)


def print_batches(console: Console, job: Job) -> None:
    """Print a line for each batch."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("batch", justify="right")
    table.add_column("state", no_wrap=True)
    for name in ("items", "epochs", "wall"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("workers", overflow="fold")
    for batch in job["batches"]:
        wall_s = batch.get("wall_s")
        table.add_row(
            str(batch["index"]),
            Text(batch["state"], STATE_STYLES.get(batch["state"], "bold")),
            str(batch["items"]),
            str(len(batch["epochs"])),
            "" if wall_s is None else f"{wall_s:.2f} s",
            Text(", ".join(dict.fromkeys(each["worker"] for each in batch["epochs"]))),
        )
    console.print(table)


def print_error_groups(console: Console, groups: Sequence[JsonObject]) -> None:
    """Print each cause with the items that it hit and the traceback of the first one."""
    if not groups:
        console.print("no item has failed", style="dim")
    for group in groups:
        hit = ", ".join(map(str, group["indices"]))
        more = group["count"] - len(group["indices"])
        hit += f" and {more} more" if more > 0 else ""
        console.print(Text(visible(f"{group['type']} × {group['count']}"), "bold red"))
        console.print(f"  items {hit}", markup=False)
        sample = group["samples"][0]
        text = visible(sample["error"]["traceback"] or sample["error"]["message"])
        console.print(Text("".join(f"  {line}\n" for line in text.rstrip().split("\n"))))
