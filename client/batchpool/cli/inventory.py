"""`batchpool tasks`, `backends` and `workers`: what a service has."""

from collections.abc import Callable, Iterable, Sequence

import click
from rich.table import Table
from rich.text import Text

from batchpool.cli.exit_codes import exit_codes
from batchpool.cli.options import json_option, print_json, url_option
from batchpool.client.client import Client
from batchpool.json_value import JsonObject


@click.command()
@json_option
@url_option
def tasks(as_json: bool, url: str) -> None:
    """List the tasks that live workers can run, with their params."""
    from batchpool.cli.output import print_error

    with exit_codes(), Client(url) as client:
        found, failed = client.tasks(), client.task_errors()
        if as_json:
            print_json({"tasks": found, "errors": failed})
            return
        _print(found, False, ("task", "params", "what it does"), _task_row)
        for each in failed:
            print_error(f"{each['source']}: {each['error']}")


@click.command()
@json_option
@url_option
def backends(as_json: bool, url: str) -> None:
    """List the backends, and what each can do."""
    with exit_codes(), Client(url) as client:
        _print(client.backends(), as_json, ("backend", "runs in", "can"), _backend_row)


@click.command()
@json_option
@url_option
def workers(as_json: bool, url: str) -> None:
    """List the live workers, and what each runs."""
    with exit_codes(), Client(url) as client:
        header = ("worker", "host", "PID", "Python", "CPUs", "state")
        _print(client.workers(), as_json, header, _worker_row)


def _print(
    found: Sequence[JsonObject],
    as_json: bool,
    header: Sequence[str],
    row: Callable[[JsonObject], Iterable[str]],
) -> None:
    from batchpool.cli.output import stdout_console

    if as_json:
        print_json(found)
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    for place, name in enumerate(header):
        table.add_column(name, overflow="fold", no_wrap=place == 0)
    for each in found:
        table.add_row(*(Text(cell) for cell in row(each)))
    stdout_console().print(table)


def _task_row(task: JsonObject) -> Iterable[str]:
    params = (task["params"] or {}).get("properties", {})
    return task["name"], ", ".join(params), task["description"]


def _backend_row(backend: JsonObject) -> Iterable[str]:
    options = ("dispatch", "chunksize", "pool", "start_methods")
    can = [name.removesuffix("s").replace("_", "-") for name in options if backend[name]]
    can += ["task-timeout"] if backend["task_timeout"] == "yes" else []
    lacking = "" if backend["available"] else "; no worker has it"
    return backend["name"], backend["description"], ", ".join(can) + lacking


def _worker_row(worker: JsonObject) -> Iterable[str]:
    python = worker["python"] if worker["gil"] else f"{worker['python']} no GIL"
    state = f"{worker['state']} {worker['batch'] or ''}".rstrip()
    return (
        worker["name"],
        worker["host"],
        str(worker["pid"]),
        python,
        f"{worker['cpus']:g}",
        state,
    )
