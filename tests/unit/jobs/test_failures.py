"""Failures with the same cause are one group, whatever their items and messages."""

import traceback
from typing import Any

import pytest

from batchpool.execution.result_encoding import task_error
from batchpool.jobs import failures
from batchpool.jobs.failures import Frame, own_frame, show_failures
from batchpool.model import TaskError

OWN = '  File "/srv/tasks/mine.py", line 7, in parse\n    int(text)\n'
FOREIGN = '  File "/usr/lib/python3.11/json/decoder.py", line 337, in decode\n    raise\n'
INSTALLED = '  File "/venv/lib/python3.11/site-packages/x/y.py", line 1, in z\n'
HEAD = "Traceback (most recent call last):\n"
DURING = "\nDuring handling of the above exception, another exception occurred:\n\n"
OTHER = '  File "/srv/tasks/mine.py", line 9, in again\n'
PARSE, AGAIN = Frame("/srv/tasks/mine.py", 7, "parse"), Frame("/srv/tasks/mine.py", 9, "again")


def record(index: int, **changes: Any) -> Any:
    error = TaskError(type="ValueError", message=f"no {index}", traceback=HEAD + OWN + "ValueError")
    found = {"index": index, "state": "failed", "batch": 0, "worker": "w", "error": error}
    return found | changes


@pytest.mark.parametrize(
    ("text", "frame"),
    [
        (HEAD + OWN + "ValueError: no", PARSE),
        (HEAD + OWN + FOREIGN + INSTALLED + "ValueError: no", PARSE),
        (HEAD + OWN + FOREIGN + "E" + DURING + HEAD + OTHER + FOREIGN + "ValueError", AGAIN),
        (
            HEAD + FOREIGN + "ValueError: no",
            Frame("/usr/lib/python3.11/json/decoder.py", 337, "decode"),
        ),
        ("Traceback ...", None),
        (None, None),
    ],
)
def test_the_own_frame_is_the_last_of_the_tasks_code(text: str | None, frame: Frame | None) -> None:
    assert own_frame(text) == frame


def test_the_own_frame_of_a_real_error_is_where_it_was_raised() -> None:
    try:
        raise ExceptionGroup("both", [ValueError("one")])
    except ExceptionGroup as error:
        found = own_frame(task_error(error, own_frames=0)["traceback"])
        line = traceback.extract_tb(error.__traceback__)[0].lineno
    assert found and found.file == __file__ and found.line == line


def test_groups_stand_by_size_with_their_first_items() -> None:
    crash = {"state": "crashed", "error": TaskError(type="crashed", message="", traceback=None)}
    records = [record(at) for at in range(30)] + [record(99, **crash), record(100, error=None)]
    shown = show_failures(records, 40)
    assert (shown["total"], shown["grouped"], shown["groups_total"]) == (40, 32, 3)
    first, second, third = shown["groups"]
    assert (first["type"], first["frame"], first["count"]) == ("ValueError", PARSE._asdict(), 30)
    assert first["indices"] == list(range(20))
    assert [sample["error"]["message"] for sample in first["samples"]] == ["no 0", "no 1", "no 2"]
    assert (second["type"], second["frame"], second["indices"]) == ("crashed", None, [99])
    assert (third["type"], third["indices"]) == ("failed", [100])


def test_groups_that_are_not_shown_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failures, "MOST_GROUPS", 1)
    other = record(1, error=TaskError(type="KeyError", message="", traceback=None))
    shown = show_failures([record(0), other], 2)
    assert (len(shown["groups"]), shown["groups_total"]) == (1, 2)
