"""Text of users is shown, never obeyed."""

import pytest

from batchpool.charts.visible_text import visible
from batchpool.pages.rendering import _environment
from batchpool.pages.text import in_words


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, tab\t and line\n", "plain, tab\t and line\n"),
        ("a\u202eb", "a\\u202eb"),
        ("\x1b[31m", "\\x1b[31m"),
        ("\u2066x\u2069", "\\u2066x\\u2069"),
        ("a\u200bb\x00", "a\\u200bb\\x00"),
        ("naïve שלום 5\u202fs", "naïve שלום 5\u202fs"),
    ],
)
def test_what_would_be_obeyed_is_named(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_templates_escape_markup_and_direction() -> None:
    template = _environment().from_string("{{ label }}")
    assert template.render(label="<script>\u202e") == "&lt;script&gt;\\u202e"


def test_small_counts_are_words() -> None:
    assert [in_words(count) for count in (0, 1, 9, 10, 12345)] == [
        "no",
        "one",
        "nine",
        "10",
        "12\u202f345",
    ]
