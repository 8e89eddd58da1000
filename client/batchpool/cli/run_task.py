"""`batchpool run`: run a task on some items here, without a stack."""

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TextIO

import click
from rich.console import Console

from batchpool.charts.visible_text import visible
from batchpool.cli.arguments import parse_params, parse_value, read_items, read_lines
from batchpool.cli.exit_codes import JOB_FAILED, exit_codes
from batchpool.cli.extras import USAGE, needs_extra
from batchpool.cli.options import json_option
from batchpool.client.transport import encode_json

if TYPE_CHECKING:
    from batchpool.model import Outcome


@click.command()
@click.argument("task")
@click.option("--item", "given", multiple=True, metavar="VALUE", help="One item: JSON or text.")
@click.option("--count", type=click.IntRange(0), help="Run the items 0 … N-1.", metavar="N")
@click.option("--items", type=click.File(encoding="utf-8"), help="As for submit.")
@click.option("--lines", type=click.File(encoding="utf-8"), help="As for submit.")
@click.option(
    "--param", "params", multiple=True, metavar="NAME=VALUE", help="VALUE is JSON or text."
)
@click.option("--backend", help="Default: sequential, so that breakpoint() stops in the task.")
@click.option("--concurrency", type=click.IntRange(1), default=1, show_default=True)
@json_option
@needs_extra("worker")
def run(task: str, params: tuple[str, ...], as_json: bool, **rest: Any) -> None:
    """Run TASK on some items in this process, without a stack.

    The task is found as a worker finds it: by BATCHPOOL_TASKS_DIR, or an installed package.
    """
    from batchpool.cli.output import print_error, stdout_console
    from batchpool.errors import EngineError
    from batchpool.runner.run_task import run_task

    items = _items(rest.pop("given"), rest.pop("count"), rest.pop("items"), rest.pop("lines"))
    with exit_codes():
        encode_json({"items": items})
        try:
            outcomes = run_task(task, items, parse_params(params), **rest)
        except EngineError as error:
            print_error(str(error))
            sys.exit(USAGE)
        if as_json:
            names = ("index", "state", "value", "error")
            shown = [{name: getattr(each, name) for name in names} for each in outcomes]
            click.echo(json.dumps(shown))
        else:
            _print(stdout_console(), outcomes)
    if any(outcome.state != "succeeded" for outcome in outcomes):
        sys.exit(JOB_FAILED)


def _print(console: Console, outcomes: "Sequence[Outcome]") -> None:
    """A line for each item, and the traceback of each that failed."""
    for each in outcomes:
        if each.error is None:
            shown = json.dumps(each.value, ensure_ascii=False)
            console.print(f"{each.index}  {shown}", markup=False, soft_wrap=True)
            continue
        console.print(f"{each.index}  {each.state}", style="bold red", markup=False)
        text = each.error["traceback"] or f"{each.error['type']}: {each.error['message']}"
        console.print(visible(text.rstrip()), markup=False, soft_wrap=True)


def _items(
    given: tuple[str, ...], count: int | None, items: TextIO | None, lines: TextIO | None
) -> list[Any]:
    if sum(bool(source) or source == 0 for source in (given, count, items, lines)) != 1:
        raise click.UsageError("give one of --item, --count, --items and --lines")
    if items is not None:
        return read_items(items)
    if lines is not None:
        return read_lines(lines)
    return [parse_value(text) for text in given] if given else list(range(count or 0))
