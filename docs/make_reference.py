"""Write docs/reference/*.md from the code: `make docs`."""

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from batchpool import client as client_package
from batchpool.api import metrics
from batchpool.api.openapi import openapi_document
from batchpool.cli.main import main
from batchpool.client.comparisons import Comparisons

FOLDER = Path(__file__).with_name("reference")
NOTE = "<!-- Made from the code by `make docs`; do not edit. -->"
Document = dict[str, Any]


def render_api() -> str:
    """The HTTP API: operations with parameters and responses, then all schemas."""
    document = openapi_document()
    lines = ["# HTTP API", NOTE, _API_INTRODUCTION, _errors(document)]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            lines.append(f"## `{method.upper()} {path}`\n\n{operation['summary']}.")
            lines.extend(_parameters(operation))
            if body := operation.get("requestBody"):
                lines.append(f"Body: {_content(body['content'])}.")
            lines.append(_responses(operation))
    for name, schema in sorted(document["components"]["schemas"].items()):
        lines.append(f"## {name}\n\n{_text(schema.get('description', ''))}".rstrip())
        fields = schema.get("properties", {})
        rows = [(f"`{field}`", _type(spec), _about(spec)) for field, spec in fields.items()]
        if rows:
            lines.append(_table(("field", "type", "meaning"), rows))
    return _page(lines)


def render_cli() -> str:
    """The command line: the help of every command."""
    lines = ["# Command line", NOTE, _CLI_INTRODUCTION]
    for words, command in _commands(main, ("batchpool",)):
        # Inside of the main command, each has its options for help.
        settings = main.context_settings
        with click.Context(command, info_name=" ".join(words), **settings) as context:
            context.terminal_width = context.max_content_width = 96
            lines.append(f"## `{' '.join(words)}`\n\n```text\n{command.get_help(context)}\n```")
    return _page(lines)


def render_client() -> str:
    """The Python client: public names with signatures and docstrings."""
    lines = ["# Python client", NOTE, "```python\nfrom batchpool.client import Client\n```"]
    public = [getattr(client_package, name) for name in client_package.__all__]
    for kind in [*public, Comparisons]:
        if isinstance(kind, type):
            lines.extend(_class(kind))
    return _page(lines)


def render_metrics() -> str:
    """The metrics of `GET /metrics`."""
    rows = [(f"`{name}`", kind, _text(about)) for name, kind, about in sorted(_metrics())]
    table = _table(("name", "type", "meaning"), rows)
    return _page(["# Metrics", NOTE, _METRICS_INTRODUCTION, table])


PAGES = {
    "api.md": render_api,
    "cli.md": render_cli,
    "client.md": render_client,
    "metrics.md": render_metrics,
}


def _page(blocks: list[str]) -> str:
    return "\n\n".join(filter(None, blocks)) + "\n"


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _text(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip().replace("|", "\\|")


def _about(schema: Document) -> str:
    about = [_text(schema.get("description", ""))]
    if schema.get("default") not in (None, {}, []):
        about.append(f"default `{schema['default']}`")
    return "; ".join(filter(None, about))


def _type(schema: Document) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    for key in ("anyOf", "oneOf", "allOf"):
        if key in schema:
            return " or ".join(dict.fromkeys(_type(each) for each in schema[key]))
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    kind = schema.get("type", "any")
    if kind == "array":
        return f"list of {_type(schema.get('items', {}))}"
    return " or ".join(kind) if isinstance(kind, list) else str(kind)


def _parameters(operation: Document) -> Iterator[str]:
    rows = [
        (f"`{p['name']}`", p["in"], _type(p["schema"]), _about({**p["schema"], **p}))
        for p in operation.get("parameters", [])
    ]
    if rows:
        yield _table(("parameter", "in", "type", "meaning"), rows)


def _responses(operation: Document) -> str:
    good = [
        f"`{status}` {_content(response.get('content', {}))}".rstrip()
        for status, response in sorted(operation["responses"].items())
        if status < "4"
    ]
    bad = [f"`{status}`" for status in sorted(operation["responses"]) if status >= "4"]
    return f"Responses: {'; '.join(good)}.\nErrors: {', '.join(bad) or 'none'}."


def _errors(document: Document) -> str:
    meanings = {
        status: _text(response["description"])
        for operations in document["paths"].values()
        for operation in operations.values()
        for status, response in operation["responses"].items()
        if status >= "4"
    }
    return _table(("error", "meaning"), [(f"`{s}`", text) for s, text in sorted(meanings.items())])


def _content(content: Document) -> str:
    kinds = (f"{_type(media.get('schema', {}))} (`{name}`)" for name, media in content.items())
    return ", ".join(kinds)


def _commands(command: click.Command, words: tuple[str, ...]) -> Iterator[Any]:
    yield words, command
    if isinstance(command, click.Group):
        for name, child in sorted(command.commands.items()):
            yield from _commands(child, (*words, name))


def _class(kind: type) -> Iterator[str]:
    bases = ", ".join(base.__name__ for base in kind.__bases__ if base is not object)
    yield f"## {kind.__name__}" + (f"({bases})" if bases else "")
    yield _docstring(kind)
    own = [each for each in kind.__mro__ if each.__module__.startswith("batchpool.")]
    members = ((name, member) for each in own for name, member in vars(each).items())
    for name, member in members:
        if name.startswith("_"):
            continue
        if isinstance(member, property):
            yield f"**`{name}`** {_docstring(member)}".rstrip()
        elif inspect.isfunction(member):
            yield f"### `{name}{_signature(member)}`"
            yield _docstring(member)


def _signature(function: Any) -> str:
    text = str(inspect.signature(function)).replace("(self, ", "(").replace("(self)", "()")
    return re.sub(r"\b(?:batchpool|collections|typing)(?:\.\w+)*\.", "", text)


def _docstring(thing: Any) -> str:
    # `Args:` and `Raises:` become lists.
    lines = (inspect.getdoc(thing) or "").splitlines()
    found: list[str] = []
    for line in lines:
        if line in ("Args:", "Raises:", "Returns:", "Attributes:"):
            found.extend(("", line, ""))
        elif named := re.match(r"    (\w+): (.*)", line):
            found.append(f"- `{named[1]}`: {named[2]}")
        else:
            found.append(line.replace("        ", "  ", 1))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(found))


def _metrics() -> Iterator[tuple[str, str, str]]:
    # From the source: the collector itself would need a Redis to say what it has.
    source = inspect.getsource(metrics)
    source = re.sub(r'^ *about = (".*")\n( *yield \w+\("\w+", )about', r"\2\1", source, flags=re.M)
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(
                ast.Name("_gauge" | "_counter" as kind),
                [ast.Constant(name), ast.Constant(about), *_],
            ):
                yield name, kind.removeprefix("_"), about


_API_INTRODUCTION = """\
JSON in, JSON out. Errors are `application/problem+json` (RFC 9457); for a 422, `errors` names each
field. Durations are seconds, instants are RFC 3339 in UTC. Unknown fields are refused. A running
service has the same as an OpenAPI 3.1 document at `/openapi.json`."""

_CLI_INTRODUCTION = """\
Data goes to stdout, progress and messages to stderr. `NO_COLOR` is honoured. Exit codes:

| code | meaning |
| --- | --- |
| 0 | it worked, and the job succeeded |
| 1 | the job did not succeed, a condition of a comparison failed, or the stack did not start |
| 2 | the request is invalid |
| 3 | the service cannot be reached, or cannot take the request now |
| 4 | a comparison proves neither that its conditions hold nor that they do not |
| 130 | Ctrl-C: the job or comparison goes on |"""

_METRICS_INTRODUCTION = """\
`GET /metrics` of the API, in the text formats of Prometheus and OpenMetrics. The values are read
from Redis when they are scraped, so any API process of a stack gives the same."""


def make() -> None:
    """Write all pages."""
    FOLDER.mkdir(exist_ok=True)
    for name, render in PAGES.items():
        (FOLDER / name).write_text(render())


if __name__ == "__main__":
    make()
