"""`batchpool lesson`: run a guided experiment, and print what it showed."""

import sys
from pathlib import Path

import click

from batchpool.cli.exit_codes import JOB_FAILED, exit_codes, way_on
from batchpool.cli.options import announce, json_option, print_json, url_option, write_output
from batchpool.client.client import Client
from batchpool.json_value import JsonObject


@click.command()
@click.argument("name", required=False)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Write what was measured as one HTML file, which needs no network.",
)
@json_option
@url_option
def lesson(name: str | None, output: Path | None, as_json: bool, url: str) -> None:
    """Run the lesson NAME; without NAME, list the lessons."""
    from batchpool.cli.lesson_output import print_lesson_run, print_lessons
    from batchpool.cli.output import print_error, stdout_console

    with exit_codes(), Client(url) as client:
        lessons = client.lessons()
        if name is None:
            if as_json:
                print_json(lessons)
            else:
                print_lessons(stdout_console(), lessons)
            return
        found = next((each for each in lessons if each["name"] == name), None)
        if found is None:
            known = ", ".join(each["name"] for each in lessons)
            raise click.UsageError(f"unknown lesson {name!r}; known: {known}")
        run = _run(client, found)
        if output is not None:
            write_output(output, client.lesson_file(found["name"], run["comparison"]))
            announce("wrote", str(output))
        if as_json:
            print_json(run)
        else:
            print_lesson_run(stdout_console(), found, run)
        if run["state"] != "succeeded":
            print_error(f"the lesson ended {run['state']}")
            sys.exit(JOB_FAILED)


def _run(client: Client, found: JsonObject) -> JsonObject:
    from batchpool.cli.comparison.output import follow_comparison

    submitted = client.comparisons.submit(found["order"])
    announce("comparison", submitted.id)
    path = f"{client.url}/v1/lessons/{found['name']}/{submitted.id}"
    with way_on("comparison", submitted.id, f"GET {path} shows it"):
        follow_comparison(client.comparisons.events(submitted.id))
    return client.lesson_run(found["name"], submitted)
