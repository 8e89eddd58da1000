"""Options that most commands have, and the line that names what was submitted."""

import json
from collections.abc import Callable
from pathlib import Path

import click

from batchpool.cli.arguments import parse_reducers, parse_value
from batchpool.client.client import DEFAULT_URL

url_option = click.option(
    "--url",
    envvar="BATCHPOOL_URL",
    default=DEFAULT_URL,
    show_default=True,
    show_envvar=True,
    help="The service to talk to.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")

retries_option = click.option(
    "--retries",
    callback=lambda context, option, text: None if text is None else parse_value(text),
    metavar="N|JSON",
    help='How often a failed item is tried again, or e.g. \'{"max": 5, "delay_s": 1}\'.  '
    "[default: 0]",
)

rate_option = click.option(
    "--rate",
    metavar="N/UNIT",
    help="Items that may begin in a time, on all workers: 10/s, 30/min or 100/h.  "
    "[default: that of the task]",
)


def print_json(data: object) -> None:
    """Print what a command found, as JSON on stdout."""
    click.echo(json.dumps(data, indent=2))


def print_result(data: object, text: str, as_json: bool) -> None:
    """Print what a command did, as text or as JSON."""
    click.echo(json.dumps(data, indent=2) if as_json else text)


Decorate = Callable[[Callable[..., None]], Callable[..., None]]


def _seconds(name: str, about: str) -> Decorate:
    """An option of the time limit that the order has as `…_s`."""
    field = name.removeprefix("--").replace("-", "_") + "_s"
    return click.option(name, field, type=float, metavar="SECONDS", help=about)


_JOB_OPTIONS: list[Decorate] = [
    click.option(
        "--backend", help="How a worker runs its batch (GET /v1/backends).  [default: by task]"
    ),
    click.option(
        "--concurrency",
        type=int,
        help="Tasks of one batch in flight at once.  [default: by backend and CPUs]",
    ),
    click.option(
        "--batches", type=int, help="Shares of the job, each run by one worker.  [default: 1]"
    ),
    click.option("--dispatch", help="Pools only: map or submit.  [default: map]"),
    click.option(
        "--chunksize",
        type=int,
        help="Pools only: items handed over at once.  [default: by worker]",
    ),
    click.option(
        "--start-method",
        help="Processes only: fork, spawn or forkserver.  [default: forkserver]",
    ),
    click.option("--pool", help="Pools only: warm or fresh.  [default: warm]"),
    click.option("--shared-sum", help="none, global, locked or racy.  [default: none]"),
    _seconds("--task-timeout", "Of each item.  [default: no limit]"),
    _seconds("--timeout", "Of the job, from the first claim.  [default: 3600]"),
    _seconds("--queue-timeout", "While it waits for a worker.  [default: 86400]"),
    retries_option,
    rate_option,
    click.option(
        "--on-error", help="After an item that failed: continue or stop.  [default: continue]"
    ),
    click.option(
        "--reduce",
        multiple=True,
        callback=lambda _context, _option, texts: parse_reducers(texts) or None,
        metavar="NAME=OP[:/POINTER][,OPTION=VALUE...]",
        help="Reduce the values, e.g. best=top:/score,k=10, or NAME={...} as JSON.",
    ),
    click.option(
        "--logs/--no-logs", default=None, help="Keep what items print and log.  [default: logs]"
    ),
]


def job_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that are passed on unchanged; the service validates them."""
    for option in reversed(_JOB_OPTIONS):
        command = option(command)
    return command


def announce(kind: str, resource_id: str) -> None:
    """Print the id of what was submitted, or the path of what was written, on stderr."""
    from batchpool.cli.output import stderr_console

    stderr_console().print(f"{kind} {resource_id}", style="dim", markup=False, soft_wrap=True)


def write_output(path: Path, text: str) -> None:
    """Write a file.

    Raises:
        click.UsageError: it cannot be written.
    """
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise click.UsageError(f"cannot write {str(path)!r}: {error.strerror}") from error
