"""What is typed becomes the JSON that is meant."""

import io

import click
import pytest

from batchpool.cli.arguments import parse_params, read_items, read_lines


def test_param_values_are_json_where_they_can_be() -> None:
    assert parse_params(["a=2", "b=2.5", "c=true", 'd="2"', "e=word", "f=a=b", "g="]) == {
        "a": 2,
        "b": 2.5,
        "c": True,
        "d": "2",
        "e": "word",
        "f": "a=b",
        "g": "",
    }


@pytest.mark.parametrize("pair", ["seconds", "=2", ""])
def test_a_param_without_name_or_value_is_a_usage_error(pair: str) -> None:
    with pytest.raises(click.UsageError, match="NAME=VALUE"):
        parse_params([pair])


def test_labels_stay_text() -> None:
    assert parse_params(["run=2"], as_text=True) == {"run": "2"}


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("[1, 2, 3]", [1, 2, 3]),
        (" \n[1,\n 2]\n", [1, 2]),
        ('1\n"two"\n{"three": 3}\n\n', [1, "two", {"three": 3}]),
        ("[1, 2]\n[3, 4]\n", [[1, 2], [3, 4]]),
        ('"a\x0cb"\r\n', None),
    ],
)
def test_items_are_an_array_or_one_value_a_line(text: str, items: list[object] | None) -> None:
    if items is None:
        with pytest.raises(click.UsageError, match="line 1"):
            read_items(io.StringIO(text, newline=""))
    else:
        assert read_items(io.StringIO(text)) == items


def test_a_bad_line_is_named_with_the_way_out() -> None:
    with pytest.raises(click.UsageError, match=r"line 2: .*--lines"):
        read_items(io.StringIO("1\nos.py\n"))


def test_lines_are_text_whatever_they_look_like() -> None:
    assert read_lines(io.StringIO("1\ntrue\n\na b.py\n")) == ["1", "true", "a b.py"]
