"""Texts of users are printed as they are: nothing in them is obeyed."""

import pytest

from batchpool.cli.jobs.output import print_error_groups
from batchpool.cli.options import announce
from batchpool.cli.output import print_failures, stdout_console

ODD = "a :warning: [b]x[/c] \x1b[31m"
SHOWN = "a :warning: [b]x[/c] \\x1b[31m"


def test_a_path_that_looks_like_markup_is_named_as_it_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = f"/{'long/' * 20}out[a][/b]:x:.json"
    announce("wrote", path)
    assert capsys.readouterr().err == f"wrote {path}\n"


def test_the_message_of_a_failure_is_shown_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    error = {"type": "E", "message": ODD, "traceback": None}
    print_failures(stdout_console(), [{"index": 0, "state": "failed", "error": error}])
    group = {"type": "E", "count": 1, "indices": [0], "samples": [{"error": error}]}
    print_error_groups(stdout_console(), [group])
    printed = capsys.readouterr().out
    assert printed.splitlines() == [
        f"  item 0: failed, E: {SHOWN}",
        "E × 1",
        "  items 0",
        f"  {SHOWN}",
        "",
    ]
