"""`batchpool values`, `records` and `logs`: print what the tasks of a job made."""

import json
import sys
from collections.abc import Iterable, Mapping
from typing import cast

import click

from batchpool.charts.visible_text import visible
from batchpool.cli.exit_codes import exit_codes
from batchpool.cli.options import json_option, url_option
from batchpool.client.client import Client
from batchpool.client.reading import Missing

COLUMNS = ("index", "state", "value", "pid", "ppid", "thread_name", "sum_seen")


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
    """Print the record of each item of JOB, a line each."""
    states = state.split(",") if state else ()
    fields = () if as_json else (*COLUMNS, "error")
    with exit_codes(), Client(url) as client:
        read = client.stream if follow else client.records
        if not as_json:
            click.echo(_row(COLUMNS))
        for record in read(job, states, fields):
            click.echo(json.dumps(record) if as_json else _record_row(record))


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
    with exit_codes(), Client(url) as client:
        for number, log in client.job(job).logs(index or 0):
            if index not in (None, number):
                return
            if as_json:
                click.echo(json.dumps({"index": number, "log": log}))
                continue
            for line in log.removesuffix("\n").split("\n"):
                click.echo(("" if number == index else f"{number}: ") + visible(line))


def _record_row(record: Mapping[str, object]) -> str:
    error = cast(Mapping[str, object] | None, record["error"])
    value = f"{error['type']}: {error['message']}" if error else json.dumps(record["value"])
    shown = {**record, "value": value}
    return _row("" if shown[name] is None else str(shown[name]) for name in COLUMNS)


def _row(texts: Iterable[str]) -> str:
    return "\t".join(text.translate(_ONE_LINE) for text in texts)


_ONE_LINE = {ord(char): f"\\x{ord(char):02x}" for char in map(chr, (*range(32), 127))}
"""Control characters, of which a terminal would obey some, as escapes."""
