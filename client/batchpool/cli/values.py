"""`batchpool values`: print what the tasks of a job returned."""

import json

import click

from batchpool.cli.exit_codes import exit_codes
from batchpool.cli.options import url_option
from batchpool.client.client import Client
from batchpool.client.job_results import Missing


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
    """Print the value of each item of JOB as a line of JSON, by item index."""
    with exit_codes(), Client(url) as client:
        for value in client.values(job, missing):
            click.echo(json.dumps(value))
