"""From what was typed to what is sent: params and items of a job."""

import json
from collections.abc import Iterable
from typing import Any, TextIO

import click


def parse_params(pairs: Iterable[str], *, as_text: bool = False) -> dict[str, Any]:
    """Read NAME=VALUE pairs; a value that is JSON is taken as such, any other as text."""
    params: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not (name and equals):
            raise click.UsageError(f"{pair!r} is not of the form NAME=VALUE")
        params[name] = value if as_text else _json_or_text(value)
    return params


def _json_or_text(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        return value


def read_items(source: TextIO) -> list[Any]:
    """Read a JSON array, or one JSON value a line."""
    text = source.read()
    if text.lstrip().startswith("["):
        try:
            items = json.loads(text)
        except ValueError:
            pass  # then it may be lines that are arrays themselves
        else:
            return list(items)
    return [_line_as_json(number, line) for number, line in _lines(text)]


def _line_as_json(number: int, line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError as error:
        raise click.UsageError(
            f"--items, line {number}: {error}; for plain text take --lines"
        ) from None


def read_lines(source: TextIO) -> list[str]:
    """Read each line that is not empty as one item of text."""
    return [line for _, line in _lines(source.read())]


def _lines(text: str) -> list[tuple[int, str]]:
    # Not splitlines(): form feeds and the like are allowed inside a JSON line or a file's name.
    numbered = enumerate(text.split("\n"), start=1)
    return [(number, line.rstrip("\r")) for number, line in numbered if line.strip()]
