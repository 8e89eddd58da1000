"""The command `batchpool`: data on stdout, progress on stderr, one exit code per outcome.

0  it worked, and the job succeeded
1  the job did not succeed, a condition of a comparison failed, or the stack did not come up
2  what was asked for cannot be done that way
3  the service cannot be reached, or cannot take it now
4  a comparison proves neither that its conditions hold nor that they do not
"""

import os
import signal
import sys
from contextlib import closing
from pathlib import Path
from typing import Any, TextIO

import click

from batchpool.cli.arguments import parse_params, read_items, read_lines
from batchpool.cli.comparison.commands import compare
from batchpool.cli.completion import completion
from batchpool.cli.exit_codes import JOB_FAILED, exit_codes, way_on
from batchpool.cli.extras import needs_extra
from batchpool.cli.inventory import backends, tasks, workers
from batchpool.cli.jobs.commands import cancel, delete, errors, job_, jobs, retry, trace
from batchpool.cli.lesson import lesson
from batchpool.cli.options import (
    announce,
    job_options,
    json_option,
    print_json,
    print_result,
    url_option,
)
from batchpool.cli.plan import plan_text
from batchpool.cli.report import report
from batchpool.cli.results import logs, records, values
from batchpool.cli.run_task import run
from batchpool.client.client import Client
from batchpool.version import __version__


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """Run batches of tasks with the concurrency backend that the job names."""


@main.command()
@click.option("--workers", type=click.IntRange(1, 256), default=2, show_default=True)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8000,
    show_default=True,
    help="Port on 127.0.0.1; 0 takes a free one.",
)
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the jobs are kept (default: the user's state folder); implies a Redis of its own.",
)
@click.option(
    "--reload", is_flag=True, help="Load the tasks again, between batches, when their files change."
)
@click.option(
    "--files-root",
    type=click.Path(exists=True, file_okay=False, resolve_path=True),
    help="The folder below which the task `files` may read; by default it reads nothing.",
)
@needs_extra("local")
def up(workers: int, port: int, data: Path | None, reload: bool, files_root: str | None) -> None:
    """Start a local stack, and keep it running until Ctrl-C."""
    from batchpool.cli.log_writer import LogWriter
    from batchpool.cli.output import LogFormat
    from batchpool.stack.local_stack import LocalStack, StackOptions

    environ = dict(os.environ)
    if reload:
        environ["BATCHPOOL_RELOAD"] = "on"
    if files_root is not None:
        environ["BATCHPOOL_FILES_ROOT"] = files_root
    options = StackOptions(
        workers=workers, port=port, data=data, follow_parent=True, environ=environ
    )
    log = LogWriter(sys.stderr.fileno(), LogFormat())
    stack = LocalStack(options, log)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: stack.request_stop())
    with closing(log), exit_codes(), stack:
        click.echo(f"ready {stack.url}")
        stack.wait()


@main.command()
@json_option
def doctor(as_json: bool) -> None:
    """Show the Redis, versions, CPUs and start methods found here."""
    from batchpool.cli.doctor import examine, print_findings

    findings = examine(os.environ)
    if as_json:
        print_json(findings)
    else:
        print_findings(findings)
    sys.exit(0 if findings["ok"] else 1)


@main.command()
@json_option
@needs_extra("local")
def demo(as_json: bool) -> None:
    """Run the notebook's six variants and a job on real input."""
    from batchpool.cli.demo.file import write_demo_file
    from batchpool.cli.demo.output import print_demo
    from batchpool.cli.demo.run import run_demo

    with exit_codes():
        report = run_demo(os.environ)
        if as_json:
            print_json(report.as_json())
        else:
            print_demo(report)
            click.echo(write_demo_file(report).as_uri())


@main.command()
@needs_extra("worker")
def worker() -> None:
    """Run one worker on the Redis that REDIS_URL names.

    The same as `python -m batchpool.worker`.
    """
    # exec: signals reach the worker itself, and its exit code is ours.
    os.execv(sys.executable, [sys.executable, "-m", "batchpool.worker"])  # noqa: S606


@main.command()
@click.argument("task")
@click.option("--count", type=int, help="Run the items 0 … N-1.", metavar="N")
@click.option(
    "--items",
    type=click.File(encoding="utf-8"),
    help="A JSON array, or one JSON value a line; - is stdin.",
)
@click.option(
    "--lines", type=click.File(encoding="utf-8"), help="Each line is one item, as text; - is stdin."
)
@click.option(
    "--items-file",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    help="Sent while it is read: CSV if it ends with .csv, else one JSON value a line; - is stdin.",
)
@click.option(
    "--column",
    "columns",
    multiple=True,
    metavar="NAME=TYPE",
    help="Of CSV: number, boolean or json, where it is not text.",
)
@click.option(
    "--param", "params", multiple=True, metavar="NAME=VALUE", help="VALUE is JSON or text."
)
@click.option(
    "--label",
    "labels",
    multiple=True,
    metavar="NAME=TEXT",
    help="Kept with the job; `batchpool jobs --label` finds it.",
)
@job_options
@click.option("--dry-run", is_flag=True, help="Print the plan, or what is wrong; submit nothing.")
@click.option("--watch", "watching", is_flag=True, help="Stay until it has ended, then sum up.")
@json_option
@url_option
def submit(
    task: str,
    count: int | None,
    items: TextIO | None,
    lines: TextIO | None,
    items_file: Path | None,
    **rest: Any,
) -> None:
    """Submit a job that runs TASK over the items; print its id."""
    url, as_json, watching = rest.pop("url"), rest.pop("as_json"), rest.pop("watching")
    dry_run = rest.pop("dry_run")
    if sum(source is not None for source in (count, items, lines, items_file)) != 1:
        raise click.UsageError("give one of --count, --items, --lines and --items-file")
    params, labels = parse_params(rest.pop("params")), rest.pop("labels")
    spec = {name: value for name, value in rest.items() if value is not None}
    if columns := spec.pop("columns"):
        if items_file is None or items_file.suffix.lower() != ".csv":
            raise click.UsageError("--column is for an --items-file that ends with .csv")
        spec["columns"] = parse_params(columns, as_text=True)
    if labels:
        spec["labels"] = parse_params(labels, as_text=True)
    values: Any = read_items(items) if items else read_lines(lines) if lines else items_file
    if items_file == Path("-"):
        values = sys.stdin.buffer
    with exit_codes(), Client(url) as client:
        if dry_run:
            plan = client.dry_run(task, count=count, items=values, params=params, **spec)
            print_result(plan, plan_text(plan), as_json)
            return
        job = client.submit(task, count=count, items=values, params=params, **spec)
        if watching:
            # First: whoever presses Ctrl-C goes on with it.
            announce("job", job.id)
            _watch(client, job.id, as_json)
        else:
            print_result(job.data, job.id, as_json)


@main.command()
@click.argument("job")
@json_option
@url_option
def watch(job: str, as_json: bool, url: str) -> None:
    """Follow JOB until it has ended, then print a summary."""
    with exit_codes(), Client(url) as client:
        _watch(client, job, as_json)


def _watch(client: Client, job_id: str, as_json: bool) -> None:
    from batchpool.cli.output import follow, print_failures, print_summary, stdout_console

    with way_on("job", job_id, f"`batchpool watch {job_id}` follows it again"):
        for _ in follow(client.events(job_id)):
            pass
    job = client.job(job_id)
    if as_json:
        print_json(job.data)
    else:
        console = stdout_console()
        print_summary(console, job)
        if not job.succeeded:
            states = ("failed", "timeout", "crashed")
            print_failures(console, client.records(job, states))
    if not job.succeeded:
        sys.exit(JOB_FAILED)


_COMMANDS = (
    *(jobs, job_, records, values, logs, errors, cancel, retry, delete, report, trace),
    *(compare, lesson, run, tasks, backends, workers, completion),
)
for _command in _COMMANDS:
    main.add_command(_command)
