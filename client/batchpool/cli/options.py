"""Options that most commands have, and the line that names what was submitted."""

import json
from pathlib import Path

import click

from batchpool.cli.arguments import parse_value
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
    help='How often a failed item is tried again, or e.g. \'{"max": 5, "delay_s": 1}\'.',
)

rate_option = click.option(
    "--rate",
    metavar="N/UNIT",
    help="Items that may begin in a time, on all workers: 10/s, 30/min or 100/h.",
)


def print_json(data: object) -> None:
    """Print what a command found, as JSON on stdout."""
    click.echo(json.dumps(data, indent=2))


def print_result(data: object, text: str, as_json: bool) -> None:
    """Print what a command did, as text or as JSON."""
    click.echo(json.dumps(data, indent=2) if as_json else text)


def announce(kind: str, resource_id: str) -> None:
    """Print the id of what was submitted, on stderr."""
    from batchpool.cli.output import stderr_console

    stderr_console().print(f"{kind} {resource_id}", style="dim", highlight=False)


def write_output(path: Path, text: str) -> None:
    """Write a file.

    Raises:
        click.UsageError: it cannot be written.
    """
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise click.UsageError(f"cannot write {str(path)!r}: {error.strerror}") from error
