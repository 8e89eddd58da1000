"""Fields of forms: what schemas ask for, what text becomes, and the request as text."""

import json
import shlex
from typing import Any

import pytest

from batchpool.pages.forms.comparison_form import comparison_body
from batchpool.pages.forms.fields import field_of, items_of, labels_of, value_of, with_errors
from batchpool.pages.forms.job_form import job_body
from batchpool.pages.forms.request_texts import comparison_texts, job_texts, json_lines
from batchpool.pages.guides.code_tokens import json_code, python_code
from batchpool.schemas.refusals import FieldError

SLEEP = {
    "name": "sleep",
    "description": "",
    "params": {
        "type": "object",
        "properties": {
            "seconds": {"type": "number", "minimum": 0, "maximum": 3600, "default": 2.0},
            "mode": {"enum": ["a", "b"], "default": "a"},
        },
    },
}


@pytest.mark.parametrize(
    ("text", "schema", "value"),
    [
        ("5", {"type": "integer"}, 5),
        ("5.5", {"anyOf": [{"type": "number"}, {"type": "null"}]}, 5.5),
        ("five", {"type": "integer"}, "five"),
        ("NaN", {"type": "number"}, "NaN"),
        ("5", {"type": "string"}, "5"),
        ("b", {"enum": ["a", "b"]}, "b"),
        ("[1, 2]", {"type": "array"}, [1, 2]),
        ("true", {"type": "boolean"}, True),
        ("[" * 100_000, {"type": "array"}, "[" * 100_000),
    ],
)
def test_text_becomes_what_the_schema_asks_for_or_stays_text(
    text: str, schema: dict[str, Any], value: object
) -> None:
    assert value_of(text, schema) == value


def test_a_field_says_its_bounds_and_its_default() -> None:
    seconds = field_of("params.seconds", SLEEP["params"]["properties"]["seconds"])
    assert (seconds.label, seconds.hint, seconds.empty) == ("seconds", "0 to 3\u202f600", "2")
    mode = field_of("params.mode", SLEEP["params"]["properties"]["mode"], "b")
    assert mode.kind == "select"
    assert [(each.value, each.chosen) for each in mode.options] == [("", False), ("b", True)]


def test_an_empty_field_is_not_sent() -> None:
    values = {"task": "sleep", "params.seconds": " ", "count": "5", "concurrency": "", "x": "1"}
    assert job_body(values, SLEEP) == {"task": "sleep", "count": 5}


def test_a_list_of_items_is_json_or_text_by_line() -> None:
    assert items_of('1\r\n{"a": 2}\n\n not json \n') == [1, {"a": 2}, "not json"]
    body = job_body({"task": "sleep", "items": "1\n2", "labels": "run: a:b, user"}, SLEEP)
    assert body == {"task": "sleep", "items": [1, 2], "labels": {"run": "a:b", "user": ""}}
    assert labels_of(" , ") == {}


def test_a_comparison_asks_for_every_combination() -> None:
    values = {"task": "sleep", "count": "4", "concurrency": "1, 2,x", "rounds": "7"}
    body = comparison_body(values, ["thread-pool", "process-pool"], SLEEP)
    assert body["grid"] == {
        "backend": ["thread-pool", "process-pool"],
        "concurrency": [1, 2, "x"],
    }
    assert body["rounds"] == 7


def test_an_error_stands_at_its_field_and_at_what_it_is_in() -> None:
    fields = [field_of("params.seconds", {}), field_of("labels", {})]
    errors = [FieldError("params.seconds", "too long"), FieldError("labels.a", "must be text")]
    assert [each.error for each in with_errors(fields, errors)] == ["too long", "a: must be text"]


@pytest.mark.parametrize(
    ("fields", "retries"),
    [
        ({"": "3"}, 3),
        ({"": "many"}, "many"),
        ({".delay_s": "1"}, {"delay_s": 1}),
        (
            {"": "3", ".delay_s": "0.5", ".factor": "x", ".jitter": "none", ".on": "A, b.C,"},
            {"max": 3, "delay_s": 0.5, "factor": "x", "jitter": "none", "on": ["A", "b.C"]},
        ),
        ({"": '{"max": 3, "factor": 2}', ".factor": "4"}, {"max": 3, "factor": 4}),
        ({"": '{"max": 3}'}, {"max": 3}),
    ],
)
def test_retries_are_a_number_or_a_policy(fields: dict[str, str], retries: object) -> None:
    values = {f"retries{name}": text for name, text in fields.items()}
    assert job_body({"task": "sleep", **values}, SLEEP) == {"task": "sleep", "retries": retries}


@pytest.mark.parametrize(
    ("text", "reduce"),
    [
        ("all=sum", {"all": {"op": "sum"}}),
        ("\r\na = top:/s , k=3\r\n", {"a": {"op": "top", "of": "/s ", "k": 3}}),
        ('h={"op": "histogram", "bounds": [0, 1]}', {"h": {"op": "histogram", "bounds": [0, 1]}}),
        ("h={broken", {"h": "{broken"}),
        ("mean", "mean"),
        ("a=sum\na=min", "a=sum\na=min"),
        ("a=top,k", {"a": {"op": "top", "k": ""}}),
    ],
)
def test_reducers_are_lines(text: str, reduce: object) -> None:
    assert job_body({"task": "sleep", "reduce": text}, SLEEP)["reduce"] == reduce


def test_an_error_in_a_policy_stands_at_its_own_field() -> None:
    names = ("retries", "retries.delay_s", "reduce")
    errors = [
        FieldError("retries.delay_s", "must be at least 0"),
        FieldError("retries.max", "is required"),
        FieldError("reduce.best.k", "must be given"),
    ]
    shown = {
        each.name: each.error for each in with_errors([field_of(n, {}) for n in names], errors)
    }
    assert shown == {
        "retries": "is required",
        "retries.delay_s": "must be at least 0",
        "reduce": "best.k: must be given",
    }


NASTY = {"task": "it's", "params": {"text": "a\"b'$(rm)\n"}, "count": 3, "timeout_s": 9.5}


def test_the_request_can_be_pasted_into_a_shell() -> None:
    texts = job_texts(NASTY, "http://h:1")
    assert json.loads(texts.json) == NASTY
    curl = shlex.split(texts.curl.replace("\\\n", " "))
    assert (curl[2], json.loads(curl[-1])) == ("http://h:1/v1/jobs", NASTY)
    command = shlex.split(texts.command.replace("\\\n", " "))
    assert command == [
        *("batchpool", "submit", "it's", "--param", "text=a\"b'$(rm)\n"),
        *("--count", "3", "--timeout", "9.5"),
    ]


def test_the_python_text_is_python() -> None:
    compile(job_texts(NASTY, "http://h:1").python, "job", "exec")
    body = {"task": "cpu", "count": 2, "grid": {"backend": ["sequential"] * 12}}
    compile(comparison_texts(body, "http://h:1").python, "comparison", "exec")


def test_items_are_piped_into_the_command() -> None:
    texts = job_texts({"task": "echo", "items": ["a b", 1]}, "http://h:1")
    assert texts.command == "echo '[\"a b\", 1]' |\n  batchpool submit echo --items -"


def test_a_reducer_is_json_in_the_command() -> None:
    texts = job_texts({"task": "echo", "reduce": {"m": {"op": "mean", "of": "/a"}}}, "")
    assert """--reduce 'm={"op": "mean", "of": "/a"}'""" in texts.command.replace("\\\n ", "")


def test_text_that_reads_as_json_stays_text_in_the_command() -> None:
    texts = job_texts({"task": "echo", "params": {"a": "5", "b": "x"}, "labels": {"n": "5"}}, "")
    assert "--param 'a=\"5\"' --param b=x --label n=5" in texts.command


def test_code_is_escaped_and_the_wrong_line_marked() -> None:
    code = str(json_code(json_lines({"task": "<script>", "count": 0}), {"count"}))
    assert "<script>" not in code and "&lt;script&gt;" in code
    assert '<span class="hot wrong">' in code and code.index("hot wrong") > code.index("script")
    assert '<span class="k">def</span> <span class="n">f</span>' in str(python_code("def f(x):"))
    assert "<b>" not in str(python_code("'<b>'", (1, 1)))
