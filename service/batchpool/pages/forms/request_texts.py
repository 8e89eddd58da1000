"""One request as text to copy: JSON, curl, Python and the command line; pure."""

import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pprint import pformat
from typing import Final

from batchpool.json_value import JsonObject

_UNFOLDED: Final = ("params", "grid", "reduce", "retries")
"""Objects that are written with a name a line."""

_WIDTH: Final = 72


@dataclass(frozen=True)
class RequestTexts:
    """The same request in four forms."""

    json: str
    curl: str
    python: str
    command: str


def job_texts(body: JsonObject, url: str) -> RequestTexts:
    """The texts of `POST /v1/jobs`.

    Args:
        url: of the service, without a slash at its end.
    """
    return RequestTexts(
        json=json_text(body),
        curl=_curl(f"{url}/v1/jobs", body),
        python=_python(url, "job", _call("client.submit", body), "client.wait(job).sum"),
        command=_job_command(body),
    )


def comparison_texts(body: JsonObject, url: str) -> RequestTexts:
    """The texts of `POST /v1/comparisons`; `url` as for `job_texts`."""
    shown = pformat(body, width=_WIDTH, sort_dicts=False)
    call = f"client.comparisons.submit(\n{_indented(shown, 8)}\n    )"
    return RequestTexts(
        json=json_text(body),
        curl=_curl(f"{url}/v1/comparisons", body),
        python=_python(url, "found", call, "client.comparisons.wait(found).conclusion"),
        command=f"batchpool compare --file - <<'END'\n{json_text(body)}\nEND",
    )


def json_text(body: JsonObject) -> str:
    """JSON with a field a line, and what is inside a list or a labels object on the same line."""
    return "\n".join(line for line, _ in json_lines(body))


def json_lines(body: JsonObject) -> Iterator[tuple[str, str]]:
    """The lines of `json_text`, each with the field that it holds, as errors name it."""
    if not body:
        yield "{}", ""
        return
    yield "{", ""
    last = list(body)[-1]
    for name, value in body.items():
        comma = "" if name == last else ","
        if name in _UNFOLDED and value and isinstance(value, dict):
            yield f"  {json.dumps(name)}: {{", ""
            for inner, given in value.items():
                end = "" if inner == list(value)[-1] else ","
                yield f"    {json.dumps(inner)}: {_compact(given)}{end}", f"{name}.{inner}"
            yield f"  }}{comma}", ""
        else:
            yield f"  {json.dumps(name)}: {_compact(value)}{comma}", name
    yield "}", ""


def _compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _curl(url: str, body: JsonObject) -> str:
    quoted = shlex.quote(json_text(body))
    return f"curl -s {shlex.quote(url)} \\\n  -H 'Content-Type: application/json' \\\n  -d {quoted}"


def _python(url: str, ordered: str, call: str, outcome: str) -> str:
    """A program that orders and prints the outcome, which is an attribute of what has ended."""
    return (
        f"from batchpool.client import Client\n\nwith Client({url!r}) as client:\n"
        f"    {ordered} = {call}\n    print({outcome})"
    )


def _call(name: str, body: JsonObject) -> str:
    """A call with the task as its argument and each other field by name."""
    task = repr(body.get("task", ""))
    named = [f"{field}={value!r}" for field, value in body.items() if field != "task"]
    inside = ", ".join([task, *named])
    if len(name) + len(inside) < _WIDTH:
        return f"{name}({inside})"
    lines = "".join(f"        {each},\n" for each in [task, *named])
    return f"{name}(\n{lines}    )"


def _indented(text: str, by: int) -> str:
    return "\n".join(" " * by + line for line in text.split("\n"))


def _job_command(body: JsonObject) -> str:
    words = ["batchpool", "submit", shlex.quote(str(body.get("task", "")))]
    prefix = ""
    for name, value in body.items():
        if name == "items":
            prefix = f"echo {shlex.quote(_compact(value))} |\n  "
        elif name in ("params", "labels", "reduce") and isinstance(value, dict):
            words += _pairs(name.removesuffix("s"), value)
        elif name == "logs":
            words.append("--logs" if value else "--no-logs")
        # The command line has no option that measures.
        elif name not in ("task", "measure"):
            option = name.removesuffix("_s").replace("_", "-")
            text = _compact(value) if isinstance(value, dict) else str(value)
            words.append(f"--{option} {shlex.quote(text)}")
    words += ["--items -"] if prefix else []
    return prefix + _folded(words)


def _pairs(option: str, values: JsonObject) -> Iterator[str]:
    for name, value in values.items():
        # Of a param, what reads as JSON is JSON: the text "5" needs its quotes.
        is_text = isinstance(value, str) and (option == "label" or not _is_json(value))
        yield f"--{option} {shlex.quote(f'{name}={value if is_text else _compact(value)}')}"


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _folded(words: list[str]) -> str:
    lines = [""]
    for word in words:
        if lines[-1] and len(lines[-1]) + len(word) + 1 > _WIDTH:
            lines.append(f"  {word}")
        else:
            lines[-1] = f"{lines[-1]} {word}".strip() if len(lines) == 1 else f"{lines[-1]} {word}"
    return " \\\n".join(lines)
