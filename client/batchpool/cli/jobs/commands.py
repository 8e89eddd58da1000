"""`batchpool jobs`, `job`, `errors`, `cancel`, `retry`, `delete` and `trace`."""

from itertools import islice
from pathlib import Path

import click

from batchpool.cli.exit_codes import exit_codes
from batchpool.cli.options import announce, json_option, print_json, print_result, url_option
from batchpool.client.client import Client

_PAGE = 100


@click.command()
@click.option("--state", help="queued, running, succeeded, failed or cancelled.")
@click.option("--task", help="Only jobs that run this task.")
@click.option("--label", metavar="NAME=TEXT", help="Only jobs that have this label.")
@click.option(
    "--limit", type=click.IntRange(1), default=20, show_default=True, help="How many at most."
)
@json_option
@url_option
def jobs(
    state: str | None, task: str | None, label: str | None, limit: int, as_json: bool, url: str
) -> None:
    """List jobs, newest first."""
    from batchpool.cli.jobs.output import print_jobs
    from batchpool.cli.output import stdout_console

    with exit_codes(), Client(url) as client:
        listed = client.jobs(state=state, task=task, label=label, limit=min(limit, _PAGE))
        found = list(islice(listed, limit))
        if as_json:
            print_json([each.data for each in found])
        else:
            print_jobs(stdout_console(), found)


@click.command("job")
@click.argument("job")
@json_option
@url_option
def job_(job: str, as_json: bool, url: str) -> None:
    """Show JOB: its outcome so far, and its batches."""
    from batchpool.cli.jobs.output import print_batches
    from batchpool.cli.output import print_summary, stdout_console

    with exit_codes(), Client(url) as client:
        found = client.job(job)
        if as_json:
            print_json(found.data)
            return
        console = stdout_console()
        print_summary(console, found)
        console.print()
        print_batches(console, found)


@click.command()
@click.argument("job")
@json_option
@url_option
def errors(job: str, as_json: bool, url: str) -> None:
    """Show why items of JOB failed, grouped by cause."""
    from batchpool.cli.jobs.output import print_error_groups
    from batchpool.cli.output import stdout_console

    with exit_codes(), Client(url) as client:
        groups = client.job(job).errors()
        if as_json:
            print_json(groups)
        else:
            print_error_groups(stdout_console(), groups)


@click.command()
@click.argument("job")
@json_option
@url_option
def cancel(job: str, as_json: bool, url: str) -> None:
    """Cancel JOB: what runs is ended, the rest does not start."""
    with exit_codes(), Client(url) as client:
        found = client.cancel(job)
        print_result(found.data, f"{found.id} {found.state}", as_json)


@click.command()
@click.argument("job")
@json_option
@url_option
def retry(job: str, as_json: bool, url: str) -> None:
    """Run the items of JOB that did not succeed, as a new job."""
    with exit_codes(), Client(url) as client:
        found = client.retry(job)
        print_result(found.data, found.id, as_json)


@click.command()
@click.argument("jobs", nargs=-1, required=True, metavar="JOB...")
@url_option
def delete(jobs: tuple[str, ...], url: str) -> None:
    """Delete each JOB with its records, once it has ended."""
    with exit_codes(), Client(url) as client:
        for job in jobs:
            client.delete(job)
            click.echo(f"{job} deleted")


@click.command()
@click.argument("job")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file to write; default: stdout.",
)
@url_option
def trace(job: str, output: Path | None, url: str) -> None:
    """Write when each item of JOB ran, for Perfetto.

    Open the file at ui.perfetto.dev or in chrome://tracing.
    """
    with exit_codes(), Client(url) as client:
        chunks = client.job(job).trace()
        if output is None:
            for chunk in chunks:
                click.echo(chunk, nl=False)
            return
        try:
            with output.open("wb") as file:
                file.writelines(chunks)
        except OSError as error:
            raise click.UsageError(f"cannot write {str(output)!r}: {error.strerror}") from error
        announce("wrote", str(output))
