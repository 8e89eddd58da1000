"""Parse command-line arguments: params, items, arms, comparison files."""

import json
import re
from collections.abc import Iterable
from typing import Any, TextIO

import click

from batchpool.json_value import JsonObject


def parse_params(pairs: Iterable[str], *, as_text: bool = False) -> dict[str, Any]:
    """Parse NAME=VALUE pairs; a value is parsed as JSON if it is JSON, else kept as text."""
    params: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not (name and equals):
            raise click.UsageError(f"{pair!r} is not of the form NAME=VALUE")
        params[name] = value if as_text else parse_value(value)
    return params


def parse_value(value: str) -> Any:
    """Parse JSON; what is no JSON is text."""
    try:
        return _from_json(value)
    except (ValueError, RecursionError):
        return value


def _from_json(text: str) -> Any:
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("is nested too deeply") from None


# As it is typed, `process-pool:2x4`, or as the result names it, `process-pool 2x4`.
_ARM = re.compile(
    r"(?P<backend>[\w-]+)([: ]\s*((?P<batches>\d+)\s*[x×]\s*)?(?P<concurrency>\d+))?", re.ASCII
)


def parse_arm(text: str) -> dict[str, Any]:
    """Parse `BACKEND[:[BATCHESx]CONCURRENCY][,NAME=VALUE...]`, as `thread-pool:2x4,pool=fresh`."""
    shape, *more = text.split(",")
    found = _ARM.fullmatch(shape.strip())
    if found is None:
        raise click.UsageError(f"{text!r} is not of the form BACKEND[:[BATCHESx]CONCURRENCY]")
    arm: dict[str, Any] = {"backend": found["backend"]}
    arm |= {name: int(found[name]) for name in ("concurrency", "batches") if found[name]}
    return arm | parse_params(more)


def parse_reducers(texts: Iterable[str]) -> JsonObject:
    """Parse `NAME=OP[:/POINTER][,OPTION=VALUE...]`, as `best=top:/score,k=10`, or `NAME={...}`."""
    found: JsonObject = {}
    for text in texts:
        name, equals, how = text.partition("=")
        if not (name and equals and how):
            raise click.UsageError(f"{text!r} is not of the form NAME=OP[:/POINTER][,OPTION=VALUE]")
        if name in found:
            raise click.UsageError(f"two reducers are named {name!r}")
        found[name] = parse_value(how) if how.startswith("{") else _reducer(how)
    return found


def _reducer(how: str) -> JsonObject:
    shape, *options = how.split(",")
    op, colon, of = shape.partition(":")
    return {"op": op, **({"of": of} if colon else {}), **parse_params(options)}


def parse_grid(axes: Iterable[str]) -> JsonObject:
    """Parse `NAME=VALUE[,VALUE...]` pairs, as `concurrency=1,2,4`; `in_flight` has one value."""
    pairs = parse_params(axes, as_text=True)
    grid = {name: [parse_value(each) for each in text.split(",")] for name, text in pairs.items()}
    if "in_flight" in grid:
        grid["in_flight"] = parse_value(pairs["in_flight"])
    return grid


def read_document(source: TextIO) -> dict[str, Any]:
    """Read a file that holds one JSON object."""
    try:
        document = _from_json(_read(source))
    except ValueError as error:
        raise click.UsageError(f"{source.name}: {error}") from None
    if not isinstance(document, dict):
        raise click.UsageError(f"{source.name}: not a JSON object")
    return document


def read_items(source: TextIO) -> list[Any]:
    """Read a JSON array, or one JSON value a line."""
    text = _read(source)
    if text.lstrip().startswith("["):
        try:
            items = _from_json(text)
        except ValueError:
            pass  # then it may be lines that are arrays themselves
        else:
            return list(items)
    return [_line_as_json(number, line) for number, line in _lines(text)]


def _line_as_json(number: int, line: str) -> Any:
    try:
        return _from_json(line)
    except ValueError as error:
        raise click.UsageError(
            f"--items, line {number}: {error}; for plain text take --lines"
        ) from None


def read_lines(source: TextIO) -> list[str]:
    """Read each line that is not empty as one item of text."""
    return [line for _, line in _lines(_read(source))]


def _read(source: TextIO) -> str:
    try:
        return source.read()
    except UnicodeDecodeError as error:
        raise click.UsageError(
            f"{source.name}: must be UTF-8 text; byte {error.object[error.start]:#04x} at position "
            f"{error.start} is not"
        ) from None


def _lines(text: str) -> list[tuple[int, str]]:
    # Not splitlines(): form feeds and the like are allowed inside a JSON line or a file's name.
    numbered = enumerate(text.split("\n"), start=1)
    return [(number, line.rstrip("\r")) for number, line in numbered if line.strip()]


def _params_of(order: dict[str, Any]) -> dict[str, Any]:
    params = order.get("params", {})
    if not isinstance(params, dict):
        raise click.UsageError("params of the --file must be an object, to which --param can add")
    return params


def comparison_request(
    task: str | None, order: dict[str, Any], given: dict[str, Any]
) -> dict[str, Any]:
    """Merge a comparison file with command-line options; options win."""
    items, lines, count = given.pop("items"), given.pop("lines"), given.pop("count")
    if sum(source is not None for source in (count, items, lines)) > 1:
        raise click.UsageError("give one of --count, --items and --lines")
    arms = [parse_arm(arm) for arm in given.pop("arms")]
    grid, conditions = parse_grid(given.pop("grid", ())), list(given.pop("fail_unless", ()))
    if arms and grid:
        raise click.UsageError("give --arm or --grid, not both")
    params, labels = parse_params(given.pop("params")), given.pop("labels")
    order = order | {name: value for name, value in given.items() if value is not None}
    if task is not None:
        order["task"] = task
    if arms or grid:
        order = {name: value for name, value in order.items() if name not in ("arms", "grid")}
        order |= {"arms": arms} if arms else {"grid": grid}
    if conditions:
        order["fail_unless"] = conditions
    if params:
        order["params"] = _params_of(order) | params
    if labels:
        order["labels"] = parse_params(labels, as_text=True)
    if count is not None or items or lines:
        order = {name: value for name, value in order.items() if name not in ("count", "items")}
        values = read_items(items) if items else read_lines(lines) if lines else None
        order |= {"items": values} if values is not None else {"count": count}
    if "task" not in order:
        raise click.UsageError("give a TASK, or a --file that names one")
    return order
