"""`batchpool values`, `records` and `logs`: print what the tasks of a job made."""

import json
import sys
from collections.abc import Iterable, Mapping
from typing import cast

import click

from batchpool.charts.visible_text import visible
from batchpool.cli.exit_codes import exit_codes
from batchpool.cli.options import announce, json_option, url_option
from batchpool.client.client import Client
from batchpool.client.reading import Missing

_COLUMNS = {
    "index": 5,
    "state": 9,
    "value": 8,
    "task": 8,
    "pid": 7,
    "ppid": 7,
    "thread_name": 14,
    "sum_seen": 8,
}
"""The columns of a record, and how many characters each has on a terminal at least."""


@click.command()
@click.argument("job")
@click.option(
    "--missing",
    type=click.Choice(["fail", "null", "skip"]),
    default="fail",
    show_default=True,
    help="For items without a value: end with an error, print null, or leave them out.",
)
@url_option
def values(job: str, missing: Missing, url: str) -> None:
    """Print the value of each item of JOB, a line of JSON each."""
    with exit_codes(), Client(url) as client:
        for value in client.values(job, missing):
            # click.echo would flush each line.
            if sys.stdout is not None:
                sys.stdout.write(json.dumps(value) + "\n")


@click.command()
@click.argument("job")
@click.option(
    "--follow", is_flag=True, help="Print them as they are made, until the job has ended."
)
@click.option("--state", help="Only records in these states, e.g. failed,timeout.")
@json_option
@url_option
def records(job: str, follow: bool, state: str | None, as_json: bool, url: str) -> None:
    """Print the record of each item of JOB, a line each.

    Columns are separated by tabs, but on a terminal they are aligned.
    """
    states = state.split(",") if state else ()
    fields = () if as_json else (*(name for name in _COLUMNS if name != "task"), "error")
    with exit_codes(), Client(url) as client:
        read = client.stream if follow else client.records
        task = ""
        if not as_json:
            task = client.job(job)["spec"]["task"]
            click.echo(_row(_COLUMNS))
        for record in read(job, states, fields):
            click.echo(json.dumps(record) if as_json else _record_row(record, task))


@click.command()
@click.argument("job")
@click.option("--index", type=click.IntRange(0), metavar="N", help="Only that of this item.")
@json_option
@url_option
def logs(job: str, index: int | None, as_json: bool, url: str) -> None:
    """Print what the items of JOB printed and logged.

    Each line stands after the index of its item; with --index the lines stand alone. With --json
    it is a line of JSON for each item.
    """
    any_log = False
    with exit_codes(), Client(url) as client:
        for number, log in client.job(job).logs(index or 0):
            if index not in (None, number):
                break
            any_log = True
            if as_json:
                click.echo(json.dumps({"index": number, "log": log}))
                continue
            for line in log.removesuffix("\n").split("\n"):
                click.echo(("" if number == index else f"{number}: ") + visible(line))
        if not any_log:
            whose = "no item has" if index is None else f"item {index} has not"
            announce("note", f"{whose} printed or logged anything that was kept")


def _record_row(record: Mapping[str, object], task: str) -> str:
    error = cast(Mapping[str, object] | None, record["error"])
    value = f"{error['type']}: {error['message']}" if error else json.dumps(record["value"])
    shown = {**record, "value": value, "task": task}
    return _row("" if shown[name] is None else str(shown[name]) for name in _COLUMNS)


def _row(texts: Iterable[str]) -> str:
    cells = [text.translate(_ONE_LINE) for text in texts]
    if not sys.stdout.isatty():
        return "\t".join(cells)
    aligned = (cell.ljust(width) for cell, width in zip(cells, _COLUMNS.values(), strict=True))
    return "  ".join(aligned).rstrip()


_ONE_LINE = {ord(char): f"\\x{ord(char):02x}" for char in map(chr, (*range(32), 127))}
"""Control characters, of which a terminal would obey some, as escapes."""
