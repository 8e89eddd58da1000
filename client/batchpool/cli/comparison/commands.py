"""`batchpool compare`: order a comparison and follow it to its result; list, show, cancel."""

import sys
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

import click

from batchpool.cli.arguments import comparison_request, read_document
from batchpool.cli.comparison.default_group import DefaultGroup
from batchpool.cli.exit_codes import JOB_FAILED, NOT_PROVEN, exit_codes, way_on
from batchpool.cli.options import (
    announce,
    json_option,
    print_json,
    print_result,
    url_option,
    write_output,
)
from batchpool.cli.plan import comparison_plan_text
from batchpool.client.client import Client
from batchpool.client.comparisons import Comparison
from batchpool.json_value import JsonObject

_card_option = click.option(
    "--card",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the result card to this file: a picture as .svg, or .json.",
)
_format_option = click.option(
    "--format",
    "as_format",
    type=click.Choice(["markdown", "csv", "hyperfine", "json"]),
    help="Print the results in this form.",
)


@click.group(cls=DefaultGroup)
def compare() -> None:
    """Run a task in several ways, and say which one is faster.

    `batchpool compare TASK ...` is short for `batchpool compare run TASK ...`.
    """


@compare.command()
@click.argument("task", required=False)
@click.option(
    "--file",
    "body",
    type=click.File(encoding="utf-8"),
    help="The order as JSON, as for POST /v1/comparisons; options win over it. - is stdin.",
)
@click.option(
    "--arm",
    "arms",
    multiple=True,
    metavar="BACKEND[:[BATCHESx]CONCURRENCY][,NAME=VALUE...]",
    help="One way to run it, e.g. thread-pool:4, or process-pool:2x4,pool=fresh.",
)
@click.option(
    "--grid",
    multiple=True,
    metavar="NAME=VALUE[,VALUE...]",
    help="Every combination is an arm: --grid backend=thread-pool,asyncio --grid concurrency=1,4.",
)
@click.option("--count", type=int, help="Run the items 0 … N-1 in each run.", metavar="N")
@click.option("--items", type=click.File(encoding="utf-8"), help="As for submit.")
@click.option("--lines", type=click.File(encoding="utf-8"), help="As for submit.")
@click.option(
    "--param", "params", multiple=True, metavar="NAME=VALUE", help="VALUE is JSON or text."
)
@click.option(
    "--label", "labels", multiple=True, metavar="NAME=TEXT", help="Kept with the comparison."
)
@click.option(
    "--rounds", type=int, help="Each runs every arm once, in shuffled order.  [default: 10]"
)
@click.option("--warmup", type=int, help="Rounds before those that count.  [default: 1]")
@click.option("--seed", type=int, help="Of the order and of the bootstrap.  [default: random]")
@click.option(
    "--reference",
    help="The arm, by name, that the others are compared with.  "
    "[default: the first sequential one, else the first]",
)
@click.option(
    "--min-effect", type=float, help="A smaller difference is no verdict.  [default: 0.03]"
)
@click.option(
    "--timeout",
    "timeout_s",
    type=float,
    metavar="SECONDS",
    help="Of each run.  [default: 600]",
)
@click.option(
    "--fail-unless",
    multiple=True,
    metavar="CONDITION",
    help="What it must show of the speeds, e.g. 'process-pool:2 > 1.5 * sequential'. "
    "Exit code 1 if it does not hold, 4 if neither is proven.",
)
@click.option("--confirm", is_flag=True, help="Measure once more before a condition fails.")
@click.option("--dry-run", is_flag=True, help="Print the plan, or what is wrong; submit nothing.")
@_card_option
@_format_option
@json_option
@url_option
def run(task: str | None, body: TextIO | None, as_json: bool, url: str, **rest: Any) -> None:
    """Run TASK under several arms in interleaved rounds and recommend one."""
    as_format, card, confirm = rest.pop("as_format"), rest.pop("card"), rest.pop("confirm")
    dry_run = rest.pop("dry_run")
    as_format = "json" if as_json else as_format
    order = comparison_request(task, read_document(body) if body else {}, rest)
    with exit_codes(), Client(url) as client:
        if dry_run:
            plan = client.comparisons.dry_run(order)
            print_result(plan, comparison_plan_text(plan), as_json)
            return
        found = _measure(client, order)
        if confirm and found.outcome == "failed":
            _announce_second(found)
            # Another order of the runs; the conditions fail only if they fail both times.
            found = _measure(client, order | {"seed": found["spec"]["seed"] ^ 1})
            if found.outcome == "passed":
                _print(client, found, as_format, card)
                _end_not_proven("failed the first time and passed the second time")
        _print(client, found, as_format, card)
        _exit(found)


@compare.command()
@click.argument("comparison")
@_card_option
@_format_option
@json_option
@url_option
def show(
    comparison: str, card: Path | None, as_format: str | None, as_json: bool, url: str
) -> None:
    """Print the results of COMPARISON."""
    with exit_codes(), Client(url) as client:
        _print(client, client.comparisons.get(comparison), "json" if as_json else as_format, card)


@compare.command("list")
@click.option("--state", help="queued, running, succeeded, failed or cancelled.")
@click.option("--task")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True)
@json_option
@url_option
def list_(state: str | None, task: str | None, limit: int, as_json: bool, url: str) -> None:
    """List comparisons, newest first."""
    from batchpool.cli.comparison.output import print_comparisons
    from batchpool.cli.output import stdout_console

    with exit_codes(), Client(url) as client:
        listed = client.comparisons.list(state=state, task=task, limit=min(limit, 100))
        found = list(islice(listed, limit))
        if as_json:
            print_json([each.data for each in found])
        else:
            print_comparisons(stdout_console(), found)


@compare.command()
@click.argument("comparison")
@json_option
@url_option
def cancel(comparison: str, as_json: bool, url: str) -> None:
    """Cancel COMPARISON and its current run."""
    with exit_codes(), Client(url) as client:
        found = client.comparisons.cancel(comparison)
        print_result(found.data, f"{found.id} {found.state}", as_json)


def _measure(client: Client, order: JsonObject) -> Comparison:
    """Submit a comparison, follow it and load it when it has ended."""
    from batchpool.cli.comparison.output import follow_comparison

    submitted = client.comparisons.submit(order)
    announce("comparison", submitted.id)
    hint = f"`batchpool compare show {submitted.id}` shows it"
    with way_on("comparison", submitted.id, hint):
        follow_comparison(client.comparisons.events(submitted.id))
    return client.comparisons.get(submitted.id)


def _print(client: Client, found: Comparison, as_format: str | None, card: Path | None) -> None:
    from batchpool.cli.comparison.output import print_comparison
    from batchpool.cli.output import stdout_console

    if card is not None:
        is_json = card.suffix == ".json"
        comparisons = client.comparisons
        text = comparisons.export(found, "card") if is_json else comparisons.card(found)
        write_output(card, text)
        announce("wrote", str(card))
    if as_format == "json":
        print_json(found.data)
    elif as_format is not None and found.succeeded:
        click.echo(client.comparisons.export(found, as_format), nl=False)
    else:
        print_comparison(stdout_console(), found)


def _exit(found: Comparison) -> None:
    from batchpool.cli.output import print_error

    if not found.succeeded:
        error = found["error"] or {"type": found.state, "message": "no verdict"}
        print_error(f"{error['type']}: {error['message']}")
        sys.exit(JOB_FAILED)
    if found.outcome == "failed":
        sys.exit(JOB_FAILED)
    if found.outcome == "not proven":
        sys.exit(NOT_PROVEN)


def _announce_second(found: Comparison) -> None:
    announce("failed once, measured again after", found.id)


def _end_not_proven(why: str) -> None:
    from batchpool.cli.output import print_error

    print_error(why)
    sys.exit(NOT_PROVEN)
