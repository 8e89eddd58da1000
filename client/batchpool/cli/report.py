"""`batchpool report`: write the report of a job or comparison to a file."""

from pathlib import Path

import click

from batchpool.cli.exit_codes import exit_codes
from batchpool.cli.options import url_option, write_output
from batchpool.client.client import Client
from batchpool.client.errors import NotFound


@click.command()
@click.argument("id")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    help="Where to write it; - is stdout. Default: batchpool-ID.html in this folder.",
)
@url_option
def report(id: str, output: Path | None, url: str) -> None:
    """Write the report of the job or comparison ID as one file.

    It is HTML that needs no network.
    """
    with exit_codes(), Client(url) as client:
        text = load_report(client, id)
        if output == Path("-"):
            click.echo(text, nl=False)
            return
        path = output or Path(f"batchpool-{id}.html")
        write_output(path, text)
        click.echo(path.resolve().as_uri())


def load_report(client: Client, resource_id: str) -> str:
    """The report of the job with this id, or of the comparison.

    Raises:
        NotFound: neither has it.
    """
    try:
        return client.report(resource_id)
    except NotFound:
        try:
            return client.comparisons.report(resource_id)
        except NotFound as error:
            both = (
                f"no job or comparison {resource_id[:80]!r}: never submitted, deleted, or expired"
            )
            raise NotFound(error.status, error.problem | {"detail": both}) from None
